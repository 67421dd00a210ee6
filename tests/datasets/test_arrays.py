"""Pictures in one NumPy file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

import numpy as np
import torch

from tqhw.datasets import open_dataset
from tqhw.datasets.arrays import arrays
from tqhw.errors import TqhwError

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (6, 8, 9), dtype=np.uint8)
LABELS = np.array([0, 1, 2, 0, 1, 2])


def saved(folder: Path, **changes: Any) -> Path:
    parts = {"train_images": GREY, "train_labels": LABELS, "test_images": GREY[:3], "test_labels": LABELS[:3]}
    np.savez(folder / "a.npz", **{name: array for name, array in {**parts, **changes}.items() if array is not None})
    return folder / "a.npz"


def test_bytes_are_normalised_by_the_training_images(tmp_path: Path) -> None:
    found = arrays(saved(tmp_path))
    assert (found.classes, found.train_size, found.input_shape) == (3, 6, (1, 8, 9))
    ((images, labels),) = found.test_batches(8)
    real = GREY / 255
    assert torch.allclose(
        images[:, 0].double(), torch.from_numpy((real[:3] - real.mean()) / real.std(ddof=1)), atol=1e-5
    )
    assert labels.tolist() == [0, 1, 2]


def test_channels_stand_first_or_last_and_real_numbers_are_taken_as_they_are(tmp_path: Path) -> None:
    colours = RNG.random((6, 8, 9, 3))
    found = open_dataset(
        "arrays", {"path": saved(tmp_path, train_images=colours, test_images=colours[:3]), "classes": 5}
    )
    assert (found.classes, found.input_shape) == (5, (3, 8, 9))
    ((images, _),) = found.test_batches(8)
    assert torch.equal(images, torch.from_numpy(colours[:3].transpose(0, 3, 1, 2)).float())


def test_names_of_keras_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "mnist.npz", x_train=GREY, y_train=LABELS[:, None], x_test=GREY, y_test=LABELS)
    assert arrays(tmp_path / "mnist.npz").train_labels.tolist() == LABELS.tolist()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_images": None}, r"a\.npz: holds no array 'test_images' \(or x_test, X_test\) \(did you mean 't"),
        ({"train_images": GREY[0]}, r"train_images: an array of uint8 and shape \(8, 9\) holds no images \(give uint8"),
        ({"train_images": GREY.astype(np.int64)}, "train_images: an array of int64 and shape"),
        (
            {"train_labels": LABELS / 2},
            r"train_labels: an array of float64 and shape \(6,\) holds no labels",
        ),
        ({"train_labels": LABELS[:5]}, "are no training set"),
        (
            {"train_images": GREY[:0], "train_labels": LABELS[:0]},
            r"a\.npz: images and labels of shapes \(0, 1, 8, 9\) and \(0,\) are no training set",
        ),
        ({"train_labels": LABELS - 1}, "the training labels go from -1 to 1"),
        ({"test_images": GREY[:3, :, :5]}, r"training and test images differ: \(1, 8, 9\) and \(1, 8, 5\)"),
        (
            {"train_images": np.full((6, 8, 9), np.nan), "test_images": GREY / 255},
            "holds NaN or infinity",
        ),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        arrays(saved(tmp_path, **changes))


def test_files_that_are_no_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match=r"nowhere: there is no such file \(name an \.npz file"):
        arrays(tmp_path / "nowhere")
    whole = saved(tmp_path).read_bytes()
    for content in (b"", b"hello", whole[: len(whole) // 2]):
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(TqhwError, match=r"b\.npz: is no whole \.npz file of plain arrays"):
            arrays(tmp_path / "b.npz")
    with pytest.raises(TqhwError, match=r"is no whole \.npz file of plain arrays: Object arrays cannot be loaded"):
        arrays(saved(tmp_path, train_labels=np.array([{"a": 1}] * 6, dtype=object)))
