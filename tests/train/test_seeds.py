from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tqhw.errors import TqhwError
from tqhw.train import Recipe, check_seeds, checkpoints_in, read_recipe

A, B, C = Path("a"), Path("b"), Path("c")


def recipe(method: str = "dorefa", bits: tuple[int, ...] = (2, 8), **training: object) -> Recipe:
    return read_recipe({"method": method, "bits": list(bits), "training": training})


def test_a_folder_stands_for_all_checkpoints_below_it(tmp_path: Path) -> None:
    for name in ("seed1", "seed0"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "checkpoint.safetensors").touch()
    seeds = [tmp_path / "runs" / name / "checkpoint.safetensors" for name in ("seed0", "seed1")]
    assert checkpoints_in(tmp_path / "runs") == seeds
    assert checkpoints_in(tmp_path / "runs" / "seed1") == checkpoints_in(seeds[1]) == [seeds[1]]
    with pytest.raises(TqhwError, match=r"empty: holds no checkpoint"):
        (tmp_path / "empty").mkdir()
        checkpoints_in(tmp_path / "empty")
    with pytest.raises(TqhwError, match=r"nowhere: there is no such file"):
        checkpoints_in(tmp_path / "nowhere")


def test_seeds_methods_and_networks_of_one_precision_go_together() -> None:
    check_seeds([(A, recipe()), (B, recipe(seed=1)), (C, recipe("truncquant"))])
    check_seeds([(A, recipe("single", (2,))), (B, recipe("single", (8,)))])


def test_a_mean_over_anything_but_seeds_is_refused() -> None:
    with pytest.raises(TqhwError, match=r"b: has seed 3, as a has \(name each run once\)"):
        check_seeds([(A, recipe(seed=3)), (B, recipe(seed=3))])
    for other, message in (
        (recipe(seed=1, epochs=3), r"c: is no other seed of a: training.epochs is 3, not 10 \(measure them one by"),
        (recipe(seed=1, epochs=3, batch_size=8), r"training.batch_size is 8, not 128; training.epochs is 3, not 10 \("),
        (recipe(bits=(2, 4), seed=1), r"bits is \[2, 4\], not \[2, 8\]"),
        (replace(recipe(seed=1), model=replace(recipe().model, name="resnet18")), "model.name is resnet18, not"),
    ):
        with pytest.raises(TqhwError, match=message):
            check_seeds([(A, recipe()), (B, recipe("truncquant")), (C, other)])
