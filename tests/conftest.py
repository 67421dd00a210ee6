"""For all tests: one thread per process, before PyTorch starts its pool.

The models here are small, and several processes share the cores (xdist); waiting threads made the tests of
tests/workload take 67 s instead of 11 s on two busy cores.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
