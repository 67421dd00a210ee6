"""The real programs: rendering their input, running them side by side, believing only what adds up."""

from tqhw.backends.timeloop.backend import Timeloop

__all__ = ["Timeloop"]
