"""Standard output is silent inside, and as before after it."""

import ctypes
import os

import pytest

from tqhw.system.streams import silent_stdout


def test_what_compiled_code_prints_inside_is_lost_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(1, b"before\n")
    with silent_stdout():
        os.write(1, b"of a compiled library\n")
        ctypes.CDLL(None).printf(b"kept in its buffer\n")
    ctypes.CDLL(None).printf(b"after\n")
    ctypes.CDLL(None).fflush(None)
    os.write(1, b"and after\n")
    told = capfd.readouterr().out
    assert "compiled" not in told and "buffer" not in told
    assert [line in told for line in ("before", "after", "and after")] == [True] * 3


def test_an_error_inside_gives_it_back(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="inside"), silent_stdout():
        raise ValueError("inside")
    os.write(1, b"heard\n")
    assert capfd.readouterr().out == "heard\n"
