import pickle
import struct

import numpy as np
import pytest

pytest.importorskip("torch")

from tqhw.datasets.unpickle import read_pickled
from tqhw.errors import TqhwError


def python2_batch(pixels: np.ndarray, labels: list[int]) -> bytes:
    """A batch as Python 2's cPickle wrote CIFAR-10's: protocol 2, 8-bit strings, NumPy's two calls."""

    def string(raw: bytes) -> bytes:
        short = b"U" + bytes([len(raw)]) if len(raw) < 256 else b"T" + struct.pack("<i", len(raw))
        return short + raw

    def number(value: int) -> bytes:
        return b"K" + bytes([value]) if value < 256 else b"J" + struct.pack("<i", value)

    shape = number(pixels.shape[0]) + number(pixels.shape[1]) + b"\x86"
    dtype = b"cnumpy\ndtype\nq\x05(" + string(b"u1") + b"K\x00K\x01tRq\x06(K\x03" + string(b"|")
    dtype += b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    array = b"cnumpy.core.multiarray\n_reconstruct\nq\x02cnumpy\nndarray\nq\x03K\x00\x85" + string(b"b") + b"\x87Rq\x04"
    array += b"(K\x01" + shape + dtype + b"\x89" + string(pixels.tobytes()) + b"tb"
    listed = b"]q\x07(" + b"".join(map(number, labels)) + b"e"
    body = string(b"data") + array + string(b"labels") + listed + string(b"batch_label") + string(b"testing batch")
    return b"\x80\x02}q\x01(" + body + b"u."


PIXELS = np.arange(600, dtype=np.uint8).reshape(3, 200)


def test_the_test_writes_what_pickle_reads():
    loaded = pickle.loads(python2_batch(PIXELS, [1, 2, 300]), encoding="bytes")  # noqa: S301 - our own bytes
    assert np.array_equal(loaded[b"data"], PIXELS) and loaded[b"labels"] == [1, 2, 300]


def test_python_2s_batches_are_read():
    batch = read_pickled(python2_batch(PIXELS, [1, 2, 300]), "batch")
    assert np.array_equal(batch[b"data"], PIXELS)
    assert batch[b"labels"] == [1, 2, 300] and batch[b"batch_label"] == b"testing batch"


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_python_3s_data_are_read(protocol):
    value = {"labels": [1, 2], "one": (1,), "two": (1, 2), "three": (1, 2, 3), "four": (1, 2, 3, None), "x": True}
    assert read_pickled(pickle.dumps(value, protocol), "batch") == value
    if protocol > 2:
        assert np.array_equal(read_pickled(pickle.dumps(PIXELS, protocol), "batch"), PIXELS)


def detonate():
    raise AssertionError("the pickle was executed")


class Attack:
    def __reduce__(self):
        return (detonate, ())


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_nothing_is_executed(protocol):
    with pytest.raises(TqhwError, match=r"batch: (asks to import '.*detonate'|holds the instruction)"):
        read_pickled(pickle.dumps({"data": Attack()}, protocol), "batch")


def test_known_names_cannot_be_called_with_other_things():
    with pytest.raises(TqhwError, match=r"asks to call 'numpy dtype'"):
        read_pickled(b"\x80\x02cnumpy\ndtype\nU\x02u1\x85R.", "batch")
    with pytest.raises(TqhwError, match=r"holds an array of type 'f8', not of bytes"):
        read_pickled(pickle.dumps(np.ones(3), 4), "batch")


def test_what_is_cut_short_is_refused_at_every_length():
    whole = python2_batch(PIXELS, [1, 2, 3])
    for length in range(0, len(whole) - 1, 7):
        with pytest.raises(TqhwError, match=r"batch: is no whole pickle of arrays: .*download it again"):
            read_pickled(whole[:length], "batch")


DEEP = 100_000
RECONSTRUCT = b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\x01\x85"


@pytest.mark.parametrize(
    ("pickled", "message"),
    [
        (b"\x80\x02}" + b"U\x01a}" * DEEP + b"s" * DEEP + b".", "holds a dictionary inside of another"),
        (b"\x80\x02}q\x00U\x01ah\x00s.", "holds a dictionary inside of another"),
        (b"\x80\x02})" + b"\x85" * DEEP + b"U\x01as.", "a key is neither text nor a number"),
        (b"\x80\x02)" + b"\x85" * DEEP + b")R.", "it calls what has no name"),
        (RECONSTRUCT + b"cnumpy\ndtype\n)" + b"\x85" * DEEP + b"\x85R\x89U\x00tb.", "recursion"),
    ],
)
def test_what_is_nested_too_deep_is_refused(pickled, message):
    with pytest.raises(TqhwError, match=f"batch: .*({message})"):
        read_pickled(pickled, "batch")
