"""Data to calibrate with, and what is wrong with them."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import save_file  # noqa: E402

from tqhw.datasets import calibration  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402


def test_one_array_is_the_input_and_several_are_arguments(tmp_path):
    x = np.arange(40, dtype=np.float32).reshape(10, 4)
    np.save(tmp_path / "x.npy", x)
    found = calibration(str(tmp_path / "x.npy"), samples=9, batch_size=4)
    assert found.samples == 9 and [len(batch) for batch in found.batches] == [4, 4, 1]
    assert torch.equal(torch.cat(found.batches), torch.from_numpy(x[:9]))
    tensors = {"ids": torch.arange(10).reshape(5, 2), "mask": torch.ones(5, 2), "labels": torch.arange(5)}
    save_file(tensors, tmp_path / "x.safetensors")
    (batch,) = calibration(str(tmp_path / "x.safetensors")).batches
    assert {*batch} == {"ids", "mask"} and torch.equal(batch["ids"], tensors["ids"])
    np.savez(tmp_path / "x.npz", any=x, labels=np.arange(10))
    (only,) = calibration(str(tmp_path / "x.npz")).batches
    assert torch.equal(only, torch.from_numpy(x))


def test_a_data_set_is_named():
    found = calibration("digits", samples=20, batch_size=32)
    assert found.samples == 20 and found.batches[0].shape[1] == 1


def arrays(**given):
    return given


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (arrays(x=np.zeros((0, 3))), "holds no samples .give arrays whose first axis counts them"),
        (arrays(), "holds no samples"),
        (arrays(x=np.float32(3)), "holds no samples"),
        (arrays(labels=np.arange(3)), "holds no inputs beside labels"),
        (arrays(x=np.zeros((3, 2)), y=np.zeros((4, 2))), "different numbers of rows: x 3, y 4"),
        (arrays(x=np.array([[1, np.nan], [np.inf, 2]])), "2 of 4 numbers of 'x' are NaN or infinite .leave them out"),
        (
            arrays(x=np.zeros((3, 2)), labels=np.array([7, 7, 7])),
            "all 3 samples are of class 7 .calibrate with samples of every class",
        ),
        (arrays(x=np.array([{"a": 1}], dtype=object)), "is no file of plain arrays: it holds objects"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, given, message):
    np.savez(tmp_path / "m.npz", **given)
    with pytest.raises(TqhwError, match=rf"m.npz: .*{message}"):
        calibration(str(tmp_path / "m.npz"))


def test_no_file_and_another_one(tmp_path):
    with pytest.raises(TqhwError, match=r"nowhere.npz: cannot be read: No such file"):
        calibration(str(tmp_path / "nowhere.npz"))
    with pytest.raises(TqhwError, match=r"digitz: there is no such file or data set .give a .npy, .npz"):
        calibration("digitz")
    (tmp_path / "x.pkl").write_text("")
    with pytest.raises(TqhwError, match=r"'.pkl' is no file of arrays"):
        calibration(str(tmp_path / "x.pkl"))
    for name in ("x.npy", "x.npz", "x.safetensors"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
        with pytest.raises(TqhwError, match="is no file of plain arrays"):
            calibration(str(tmp_path / name))
    with pytest.raises(TqhwError, match="samples: 0 leaves nothing to calibrate with"):
        calibration("digits", samples=0)
