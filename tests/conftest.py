"""For all tests: one thread per process, before PyTorch starts its pool, and a mapping cache of their own.

The models here are small, and several processes share the cores (xdist); waiting threads made the tests of
tests/workload take 67 s instead of 11 s on two busy cores.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")
# Where a test asks for more of them, those that wait for each other leave the processors to whoever works.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

# No test is about how long one example takes, which depends on who else is at work.
settings.register_profile("tqhw", deadline=None)
settings.load_profile("tqhw")

# A shell that starts a command in the background has it ignore Ctrl-C, nohup a closed terminal; so would all that the
# tests start.
if threading.current_thread() is threading.main_thread():
    for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(_number) == signal.SIG_IGN:
            signal.signal(_number, _handler)


@pytest.fixture(scope="session", autouse=True)
def _own_mapping_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Tests neither read nor fill the mapping cache of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield
