"""Whether data are those that a network was trained on, whatever they are called."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.cli.test_app import refused, tqhw  # noqa: E402
from tqhw.datasets.base import TensorData  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.quant.files.tensorfile import save_tensors  # noqa: E402
from tqhw.train.agree import check_same_facts, facts_of  # noqa: E402
from tqhw.train.checkpoint import KIND, VERSION  # noqa: E402

DATA = TensorData(
    "pictures",
    3,
    torch.zeros(3, 1, 4, 4, dtype=torch.uint8),
    torch.arange(3),
    torch.zeros(3, 1, 4, 4, dtype=torch.uint8),
    torch.arange(3),
    mean=(0.25,),
    deviation=(0.5,),
)
FACTS = {"input_shape": [1, 4, 4], "classes": 3, "mean": [0.25], "deviation": [0.5]}


def checkpoint(folder: Path, **more: Any) -> Path:
    path = folder / "checkpoint.safetensors"
    save_tensors(path, {"model/w": torch.zeros(1)}, {"kind": KIND, "version": VERSION, **more})
    return path


def test_what_a_network_reads() -> None:
    assert facts_of(DATA) == FACTS
    assert facts_of(replace(DATA, mean=(), deviation=())) == {"input_shape": [1, 4, 4], "classes": 3}


@pytest.mark.parametrize(
    ("mean", "told"),
    [
        (torch.tensor([0.25, 0.5]).view(2, 1, 1), [0.25, 0.5]),
        (np.float32(0.25), 0.25),
        ([np.float64(0.25)], [0.25]),
        (lambda: 0.25, None),
        ("none", None),
    ],
)
def test_what_a_data_set_of_ones_own_says(mean: object, told: object) -> None:
    """In tensors, in numbers of NumPy, or in something else by that name."""
    own = SimpleNamespace(input_shape=torch.Size([1, 4, 4]), classes=np.int64(3), mean=mean)
    found = json.loads(json.dumps(facts_of(cast(Any, own))))
    assert found == {"input_shape": [1, 4, 4], "classes": 3, **({} if told is None else {"mean": told})}


def test_the_same_but_for_the_last_bits(tmp_path: Path) -> None:
    path = checkpoint(tmp_path, data=FACTS)
    check_same_facts(path, DATA)
    check_same_facts(path, replace(DATA, mean=(0.25 + 1e-9,)))
    check_same_facts(checkpoint(tmp_path), replace(DATA, classes=4))  # of an earlier version, which did not say


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"mean": (0.26,)}, "mean is [0.25] there, [0.26] here"),
        ({"deviation": ()}, "deviation is [0.5] there, not given here"),
        ({"classes": 5}, "classes is 3 there, 5 here"),
        ({"train_images": torch.zeros(3, 3, 4, 4)}, "input_shape is [1, 4, 4] there, [3, 4, 4] here"),
    ],
)
def test_other_data_are_refused(other: dict[str, Any], told: str, tmp_path: Path) -> None:
    path = checkpoint(tmp_path, data=FACTS)
    with pytest.raises(TqhwError) as caught:
        check_same_facts(path, replace(DATA, **other))
    assert str(caught.value) == (
        f"{path}: is of other data: {told} (measure it on the data set that it was trained on)"
    )


def test_the_file_of_the_data_may_not_become_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name and place are those of the training; pictures of another size, or darker ones, are not."""
    monkeypatch.chdir(tmp_path)
    drawn = np.random.default_rng(0)

    def write(size: int, most: int) -> None:
        parts = {f"{part}_images": drawn.integers(0, most, (20, size, size)) for part in ("train", "test")}
        labels = {f"{part}_labels": np.arange(20) % 10 for part in ("train", "test")}
        np.savez("pictures.npz", **{key: value.astype(np.uint8) for key, value in parts.items()}, **labels)

    (tmp_path / "net.yaml").write_text(
        "model: {name: resnet8, options: {in_channels: 1}, input: [1, 1, 8, 8]}\nbits: [2, 8]\n"
        "data: {name: arrays, path: pictures.npz}\n"
        "training: {epochs: 1, batch_size: 10, schemes: [truncquant, dorefa]}\n"
    )
    write(8, 256)
    told = tqhw("train", "net.yaml", "--out", "runs").output
    assert told.count("of the weights switch their bits") == 1, "two methods, one network"
    assert "truncated" in tqhw("eval", "runs").output
    write(8, 128)
    assert "truncquant/seed0/checkpoint.safetensors: is of other data: dev" in refused("eval", "runs/truncquant")
    again = refused("train", "net.yaml", "--out", "runs", "--resume")
    assert "truncquant/seed0/checkpoint.safetensors: is of another run: data.deviation is [" in again
    lines = [line for line in (tmp_path / "net.yaml").read_text().splitlines() if not line.startswith("training")]
    more = ["training: {from: [runs/truncquant]}", "spad_models: [sram]", "methods: [truncquant]"]
    (tmp_path / "joined.yaml").write_text("\n".join([*lines, *more]))
    assert "is of other data: deviation is [" in refused("eval", "joined.yaml")
    write(16, 256)
    assert "input_shape is [1, 8, 8] there, [1, 16, 16] here" in refused("eval", "runs/truncquant")
