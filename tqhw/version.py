"""Which tqhw runs, where every room can read it: its version, and when this process began to load it."""

import time

__version__ = "0.1.0"
LOADED_AT = time.time()  # in seconds since the epoch; of a source that was changed later, another text may run
