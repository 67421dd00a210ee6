"""``python -m tqhw`` is ``tqhw``."""

from tqhw.cli import main

main()
