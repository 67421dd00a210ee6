"""``tqhw allocate`` on a tiny network: energies, measured accuracies, switches, files, and doing it again."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file  # noqa: E402
from torch.nn import functional  # noqa: E402

from tests.cli.test_app import refused, tqhw  # noqa: E402
from tests.pipeline.test_own_files import TOP  # noqa: E402
from tqhw import quant, train  # noqa: E402
from tqhw.allocation import AllocationAnswer  # noqa: E402
from tqhw.allocation.measure import measure  # noqa: E402
from tqhw.allocation.sensitivity import calibration, loss_of, sensitivities  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.experiment import Experiment  # noqa: E402
from tqhw.pipeline import accuracy  # noqa: E402
from tqhw.pipeline.allocation import allocate  # noqa: E402
from tqhw.run import run  # noqa: E402

GIVEN: dict[str, Any] = {
    "name": "tiny",
    "model": {"name": "tests.pipeline.tiny:net", "input": [1, 1, 8, 8]},
    "bits": [2, 4, 8],
    "quantization": {"first": None},
    "spad_models": ["smartbuffer_rf"],
    "data": {"name": "digits", "size": 8},
    "training": {"epochs": 2, "threads": 1},
}
NAMES = ("conv1", "conv2")
NORM = ("running_mean", "running_var", "weight", "bias")
WRITTEN = ("allocation.json", "allocation.csv", "allocation.png", "allocation.svg", "allocation.pdf")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[AllocationAnswer, Path]:
    out = tmp_path_factory.mktemp("allocated") / "out"
    return allocate(Experiment.model_validate(GIVEN), out, points=5, images=256), out


def test_the_energies_are_those_of_a_run(found: tuple[AllocationAnswer, Path]) -> None:
    results = run(Experiment.model_validate({**GIVEN, "training": None, "methods": ["truncquant"]}))
    steady = {
        bits: sum(row.energy_mj for row in results.energy if row.state == "steady" and row.bits == bits)
        for bits in (2, 4, 8)
    }
    answer = found[0]
    assert answer.layers == NAMES
    for one in answer.uniform:
        assert one.energy_mj == pytest.approx(steady[one.uniform or 0], rel=1e-12)
    for one in answer.points:
        rows = zip(answer.energies_mj, one.bits, strict=True)
        total = answer.fixed_mj + sum(row[answer.widths.index(bits)] for row, bits in rows)
        assert one.energy_mj == pytest.approx(total, rel=1e-12)


def test_a_point_given_as_bits_per_layer_costs_what_the_allocation_says(found: tuple[AllocationAnswer, Path]) -> None:
    answer = found[0]
    mixed = next(one for one in answer.points if len({*one.bits}) > 1)
    layers = dict(zip(answer.layers, mixed.bits, strict=True))
    given = {**GIVEN, "training": None, "methods": ["truncquant"], "quantization": {"first": None, "layers": layers}}
    results = run(Experiment.model_validate(given))
    steady = {
        bits: sum(row.energy_mj for row in results.energy if row.state == "steady" and row.bits == bits)
        for bits in (2, 4, 8)
    }
    assert [*steady.values()] == pytest.approx([mixed.energy_mj] * 3, rel=1e-12), "no layer follows the precision"


SHARED = """\
targets:
- {target: buffer, type: dataspace, keep: [Weights, Inputs, Outputs]}
- {target: spad, type: dataspace, keep: [Weights], bypass: [Inputs, Outputs]}
"""


def steady_mj(given: dict[str, Any], bits: int) -> float:
    results = run(Experiment.model_validate({**given, "training": None, "methods": ["truncquant"]}))
    return sum(row.energy_mj for row in results.energy if row.state == "steady" and row.bits == bits)


@pytest.mark.parametrize("layout", ["bitplane", "packed"])
def test_memories_that_data_spaces_share_with_words_of_their_own(tmp_path: Path, layout: str) -> None:
    """DRAM and buffer hold all three data spaces. As a uniform precision a point costs what a run says of it. Given as
    bits of layers it costs the same of bit planes; packed, codes that are stored with fewer bits cost less than codes
    that are stored whole and truncated."""
    (tmp_path / "top.yaml.jinja2").write_text(TOP)
    (tmp_path / "constraints.yaml").write_text(SHARED)
    files = {"files": [str(tmp_path / "top.yaml.jinja2")], "data": {"shared": True}}
    words = {"Inputs": 4, "Outputs@buffer": 16}
    given = {**GIVEN, "bits": [2, 8], "architecture": files, "word_bits": words, "scenario": {"layout": layout}}
    del given["spad_models"]
    given["training"] = {"epochs": 1, "threads": 1}
    answer = allocate(Experiment.model_validate(given), points=2, images=32)
    uniform = [steady_mj(given, one.bits[0]) for one in answer.uniform]
    assert [one.energy_mj for one in answer.uniform] == pytest.approx(uniform, rel=1e-12)
    assert answer.layers == NAMES
    (first, *_), (*_, last) = answer.energies_mj
    again = steady_mj({**given, "quantization": {"first": None, "layers": {"conv1": 2, "conv2": 8}}}, 8)
    if layout == "bitplane":
        assert answer.fixed_mj + first + last == pytest.approx(again, rel=1e-12)
    else:
        assert answer.fixed_mj + first + last > again
    cheapest = answer.points[0]
    layers = dict(zip(answer.layers, cheapest.bits, strict=True))
    again = steady_mj({**given, "quantization": {"first": None, "layers": layers}}, 8)
    if layout == "bitplane":
        assert cheapest.energy_mj == pytest.approx(again, rel=1e-12)
    else:
        assert cheapest.energy_mj > again
    told = "given to `tqhw run` as bits of layers"
    assert any(told in note for note in answer.notes) == (layout == "packed")


def test_accuracies_are_measured_on_shifted_integers(found: tuple[AllocationAnswer, Path]) -> None:
    answer, out = found
    (checkpoint,) = (out / "kept").glob("*/checkpoint.safetensors")
    model, recipe = train.load_run(checkpoint, model=GIVEN["model"]["name"])
    data = recipe.open_data()
    for one in (*answer.points, *answer.uniform):
        again = measure(model, data, dict(zip(NAMES, one.bits, strict=True)), 8)
        assert (one.top1, one.low, one.high) == (again.top1, again.low, again.high)
        assert one.low < one.top1 < one.high
        assert one.verified
    uniform = {row.bits: row.top1 for row in train.evaluate_shifted(model, data, (2, 4, 8))}
    assert {one.uniform: one.top1 for one in answer.uniform} == uniform


def test_the_added_loss_of_a_layer_is_that_of_its_truncation_alone() -> None:
    recipe = accuracy.recipe(Experiment.model_validate(GIVEN), "truncquant")
    model, data = recipe.network(recipe.bits), recipe.open_data()
    batches = calibration(data, 200, 0)
    assert sum(len(labels) for _, labels in batches) == 200
    found = dict(zip(NAMES, sensitivities(model, batches, NAMES, (2, 8), 8), strict=True))
    assert found["conv1"][1] == found["conv2"][1] == 0.0
    codes = quant.integer_codes(model, 8)
    with quant.running_on_codes(model, codes, 8):
        whole = loss_of(model, batches)
        quant.set_bits(model, {"conv2": 2})
        assert found["conv2"][0] == loss_of(model, batches) - whole != 0.0


def test_a_switch_costs_what_the_scenario_says(found: tuple[AllocationAnswer, Path]) -> None:
    """Of bit planes nothing but the batch norms of the precision is fetched: 12 channels, two numbers of 32 bits."""
    answer = found[0]
    pairs = {(one.source, one.target): one for one in answer.switches}
    assert {*pairs} == {(i, j) for i in range(len(answer.points)) for j in range(len(answer.points)) if i != j}
    assert {one.dram_bits for one in answer.switches} == {12 * 2 * 32}
    assert all(one.energy_mj > 0 for one in answer.switches)


def test_every_accuracy_is_that_of_the_shifted_codes_in_a_network_written_anew(
    found: tuple[AllocationAnswer, Path],
) -> None:
    """Out of the checkpoint's numbers alone: codes of 8 bits shifted by hand, and the norms of each layer's width."""
    answer, out = found
    (path,) = (out / "kept").glob("truncquant-*/checkpoint.safetensors")
    kept = {name.removeprefix("model/"): tensor for name, tensor in load_file(path).items()}
    data = accuracy.recipe(Experiment.model_validate(GIVEN), "truncquant", 0).open_data()

    def layer(x: torch.Tensor, number: int, bits: int) -> torch.Tensor:
        stored = quant.quantize(kept[f"conv{number}.weight"], bits=8)
        weight = 2 * (stored.codes >> (8 - bits)).float() / (2**bits - 1) - 1
        norm = [kept[f"bn{number}.{'' if bits == 8 else f'at.{bits}.'}{part}"] for part in NORM]
        x = functional.conv2d(x, weight * stored.scale, stride=2, padding=1)
        return torch.relu(functional.batch_norm(x, *norm))

    for one in (*answer.points, *answer.uniform):
        right = 0
        for images, labels in data.test_batches(256):
            rows = layer(layer(images, 1, one.bits[0]), 2, one.bits[1]).flatten(1)
            right += int(((rows @ kept["fc.weight"].T + kept["fc.bias"]).argmax(1) == labels).sum())
        assert one.top1 == pytest.approx(100 * right / 450, abs=0.23), one.bits  # a picture on the edge


def test_the_files_and_the_same_again(found: tuple[AllocationAnswer, Path], tmp_path: Path) -> None:
    answer, out = found
    document = json.loads((out / "allocation.json").read_text())
    assert [point["bits"] for point in document["points"]] == [
        dict(zip(NAMES, one.bits, strict=True)) for one in answer.points
    ]
    before = {name: (out / name).read_bytes() for name in WRITTEN}
    assert allocate(Experiment.model_validate(GIVEN), out, points=5, images=256) == answer
    assert {name: (out / name).read_bytes() for name in WRITTEN} == before
    assert allocate(Experiment.model_validate(GIVEN), tmp_path / "other", points=5, images=256) == answer


def test_what_was_measured_is_taken_up_again(
    found: tuple[AllocationAnswer, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer, out = found

    def never(*_: object, **__: object) -> None:
        raise AssertionError("measured again")

    monkeypatch.setattr("tqhw.pipeline.seed_networks.measure", never)
    monkeypatch.setattr("tqhw.allocation.sensitivity.loss_of", never)
    assert allocate(Experiment.model_validate(GIVEN), out, points=5, images=256) == answer
    (kept,) = (out / "kept").glob("allocation-*.json")
    kept.write_text("[1")  # begun anew, then
    with pytest.raises(AssertionError, match="measured again"):
        allocate(Experiment.model_validate(GIVEN), out, points=5, images=256)


def test_a_network_that_was_trained_before(found: tuple[AllocationAnswer, Path]) -> None:
    answer, out = found
    folders = [str(path.parent) for path in (out / "kept").glob("*/checkpoint.safetensors")]
    joined = {**GIVEN, "training": {"from": folders}}
    again = allocate(Experiment.model_validate(joined), points=5, images=256)
    assert [(one.bits, one.top1) for one in again.points] == [(one.bits, one.top1) for one in answer.points]


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"training": None}, {}, "there is no accuracy to measure: the experiment trains nothing"),
        ({}, {"budgets_mj": [1e-9]}, "budget: no allocation costs 1e-09 mJ or less"),
        ({"quantization": {"layers": {"conv*": 4, "fc": 8}}}, {}, "none of its layers switches"),
        ({}, {"points": 1}, "1 points, 256 images"),
    ],
)
def test_what_cannot_be_allocated(changes: dict[str, Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        allocate(Experiment.model_validate({**GIVEN, **changes}), **{"images": 256, **options})
    assert message in str(caught.value)


def test_a_front_is_refused_before_anything_is_done(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tqhw.pipeline.allocation.subject", None)
    message = (
        r"objective energy,latency: an allocation finds one best mapping, not a front \(give one of energy, latency"
    )
    with pytest.raises(TqhwError, match=message):
        allocate(Experiment.model_validate({**GIVEN, "search": {"objective": "energy,latency"}}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "experiment.json"
    path.write_text(json.dumps({**GIVEN, "training": {"epochs": 1, "threads": 1}}))
    arguments = ("allocate", path, "--out", tmp_path / "out", "--points", 3, "--images", 64, "--jobs", 1)
    told = tqhw(*arguments)
    assert told.exit_code == 0, told.output
    assert "Bits per layer, one inference, 450 test images" in told.output
    assert "8 bits everywhere" in told.output
    assert {*WRITTEN} <= {one.name for one in (tmp_path / "out").iterdir()}
    assert "no allocation costs 1e-09 mJ or less" in refused(*arguments, "--budget", "1e-9")


@pytest.fixture(scope="module")
def of_two_seeds(tmp_path_factory: pytest.TempPathFactory) -> tuple[AllocationAnswer, Path]:
    out = tmp_path_factory.mktemp("allocated") / "out"
    two = {**GIVEN, "training": {"epochs": 1, "threads": 1, "seeds": 2}}
    return allocate(Experiment.model_validate(two), out, points=3, images=64, jobs=2), out


def test_several_seeds_are_measured_each_and_shown_together(of_two_seeds: tuple[AllocationAnswer, Path]) -> None:
    answer, out = of_two_seeds
    assert answer.seeds == (0, 1)
    checkpoints = sorted((out / "kept").glob("*/checkpoint.safetensors"))
    models = {train.recipe_of(path).training.seed: path for path in checkpoints}
    assert {*models} == {0, 1}
    for seed, path in models.items():
        model, recipe = train.load_run(path, model=GIVEN["model"]["name"])
        for one in (*answer.points, *answer.uniform):
            again = measure(model, recipe.open_data(), dict(zip(NAMES, one.bits, strict=True)), 8)
            assert one.by_seed[seed] == again.top1
    for one in (*answer.points, *answer.uniform):
        assert one.top1 == fmean(one.by_seed)
        assert one.low <= min(one.by_seed) <= max(one.by_seed) <= one.high and one.verified
    document = json.loads((out / "allocation.json").read_text())
    assert document["seeds"] == [0, 1]
    assert document["points"][0]["by_seed"] == dict(zip("01", answer.points[0].by_seed, strict=True))
    assert {*document["differences"]} == {str(bits) for bits in answer.differences} and answer.differences
    heads = (out / "allocation.csv").read_text().splitlines()[0]
    assert "predicted_loss,seed 0,seed 1,conv1" in heads
    assert any("2 networks, seeds 0, 1" in note for note in answer.notes)


def test_added_losses_are_means_over_the_seeds(of_two_seeds: tuple[AllocationAnswer, Path]) -> None:
    answer, out = of_two_seeds
    kept = [json.loads(path.read_text())["losses"] for path in sorted((out / "kept").glob("allocation-*.json"))]
    for name, row in zip(answer.layers, answer.losses, strict=True):
        assert row == tuple(fmean(one[name][str(bits)] for one in kept) for bits in answer.widths)


def test_they_are_the_same_for_any_number_of_jobs_and_from_folders(
    of_two_seeds: tuple[AllocationAnswer, Path],
) -> None:
    answer, out = of_two_seeds
    two = {**GIVEN, "training": {"epochs": 1, "threads": 1, "seeds": 2}}
    assert allocate(Experiment.model_validate(two), points=3, images=64) == answer
    folders = [str(path.parent) for path in (out / "kept").glob("*/checkpoint.safetensors")]
    joined = allocate(Experiment.model_validate({**GIVEN, "training": {"from": folders}}), points=3, images=64)
    assert {one.bits: one.top1 for one in joined.points} == {one.bits: one.top1 for one in answer.points}
    assert joined.differences == answer.differences


def test_losses_that_were_kept_are_those_of_their_width(found: tuple[AllocationAnswer, Path], tmp_path: Path) -> None:
    """Joined networks serve any of their precisions: what was kept for some is not taken for others."""
    folders = [str(path.parent) for path in (found[1] / "kept").glob("*/checkpoint.safetensors")]
    joined = {**GIVEN, "training": {"from": folders}}

    def losses(bits: list[int], out: Path) -> tuple[tuple[float, ...], ...]:
        return allocate(Experiment.model_validate({**joined, "bits": bits}), out, points=2, images=64).losses

    losses([2, 8], tmp_path / "one")
    assert losses([2, 4], tmp_path / "one") == losses([2, 4], tmp_path / "other")
