"""``python -m tqhw.cli`` is ``tqhw``."""

from tqhw.cli import main

main()
