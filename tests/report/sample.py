"""Results as a run gives them, with made-up numbers of the right size."""

import shutil
from functools import cache
from pathlib import Path

from tqhw import architecture
from tqhw.report.figures import Picture, pictures
from tqhw.results import (
    ARRAY,
    DRAM,
    GLB,
    QUANTIZER,
    STATES,
    AccuracyRow,
    AmortisedRow,
    AreaRow,
    EnergyRow,
    FrontRow,
    LayerEvaluation,
    LayerFrontRow,
    LayerRow,
    Ratio,
    Results,
    ScheduleRow,
    StorageRow,
    TrafficRow,
)
from tqhw.scenario.methods import METHODS

ROOT = Path(__file__).parents[2]
BITS = (2, 4, 6, 8)
SPADS = ("smartbuffer_rf", "register_file", "sram")
TOP1 = {
    ("truncquant", "shifted"): (97.3, 97.6, 97.8, 97.8),
    ("truncquant", "requantized"): (97.3, 97.6, 97.8, 97.8),
    ("dorefa", "shifted"): (60.7, 97.3, 98.0, 98.2),
    ("dorefa", "requantized"): (97.8, 98.4, 98.2, 98.2),
}


def _runs() -> list[tuple[str, int]]:
    return [(m, b) for m in METHODS for b in (BITS if m != "fixed" else BITS[-1:])]


def _weight_bits(method: str, bits: int, state: str) -> int:
    extra = {"initial_loading": 32 + 2 * bits, "precision_switching": 32 + 2 * bits, "steady": bits}
    return 270_000 * (extra[state] if method == "any_precision" else bits)


def _energy(method: str, bits: int, state: str) -> dict[str, float]:
    parts = {DRAM: (_weight_bits(method, bits, state) + 400_000) * 8e-9, GLB: 0.012, ARRAY: 0.006 * (2 + bits)}
    if method == "any_precision" and state != "steady":
        parts[QUANTIZER] = 270_000 * 4.5e-9
    return parts


def _traffic(method: str, bits: int, state: str) -> dict[str, int]:
    parts = {"Weights": _weight_bits(method, bits, state), "Inputs": 250_000, "Outputs": 150_000}
    return parts if state == "steady" else {**parts, "Normalization": 44_000}


def _ratio(quantity: str, state: str, bits: int, spad: str) -> Ratio:
    upper, lower = ("any_precision", "truncquant")
    if quantity == "energy":
        top, bottom = (sum(_energy(m, bits, state).values()) * (1 + SPADS.index(spad) / 10) for m in (upper, lower))
        bottom *= 1 + SPADS.index(spad) / 20
    else:
        top, bottom = (float(sum(_traffic(m, bits, state).values())) for m in (upper, lower))
    paper = {"energy": 3.2, "dram_traffic": 20.0 if state == "precision_switching" else None}[quantity]
    unit = {"energy": "mJ", "dram_traffic": "bits"}[quantity]
    values = (upper, lower, top, bottom, unit, top / bottom, paper, "")
    return Ratio(quantity, state, bits, spad, *values, numerator_way="fused", denominator_way="bitplane")


def _layer(name: str, bits: int | None, channels: int) -> LayerRow:
    widths = ((2, 2), (4, 4), (6, 6), (8, 8), (32, 2)) if bits is None else ((bits, bits),)
    evaluations = tuple(
        LayerEvaluation(
            fetch,
            weight,
            spad,
            1e5 * channels * (fetch + weight),
            1000 * channels,
            0.5,
            spad != "sram",
            {DRAM: 6e4 * channels * fetch, GLB: 1e4, ARRAY: 4e4 * channels * weight},
            {"Weights": 9 * channels * fetch, "Inputs": 2048, "Outputs": 1024},
            f"hardware/{spad}/fetch{fetch}_weights{weight}",
            {"DRAM_weights": 6e4 * channels * fetch, "glb": 1e4, "weights_spad": 4e4 * channels * weight},
        )
        for spad in SPADS
        for fetch, weight in widths
    )
    instance = {"C": channels, "M": 16, "R": 3, "S": 3, "N": 1, "P": 16, "Q": 16, "G": 1, "Wstride": 1, "Hstride": 1}
    names = (f"{name}.conv1", f"{name}.conv2")
    return LayerRow(names[0], names, 2, "conv2d", instance, 36864 * channels, 144 * channels, bits, evaluations)


def sample() -> Results:
    """All lists filled."""
    runs = [(m, b, s) for m, b in _runs() for s in STATES]
    cumulative = dict.fromkeys(METHODS, 0.0)
    schedule = []
    for method in METHODS:
        for step, (bits, count, state) in enumerate(((8, 10, STATES[0]), (2, 100, STATES[1])), start=1):
            energy = sum(_energy(method, bits, state).values()) + (count - 1) * sum(
                _energy(method, bits, "steady").values()
            )
            cumulative[method] += energy
            schedule.append(ScheduleRow(method, step, bits, count, state, energy, 10**9, cumulative[method]))
    storage = [
        Ratio(
            "storage", None, None, None, "FP32", "truncquant", 1.1, 0.31, "MB", 1.1 / 0.31, None, "batch norm folded"
        ),
        Ratio("storage", None, None, None, "FP32", "truncquant", 1.1, 0.34, "MB", 1.1 / 0.34, 3.53, "as trained"),
    ]
    return Results(
        experiment={
            "name": "sample",
            "model": {"name": "resnet20", "options": {"num_classes": 10}, "input": None},
            "bits": list(BITS),
            "stored_bits": 8,
            "scenario": {"layout": "bitplane", "requantize": "best", "quantizer_pj": 4.5, "schedule": []},
        },
        methods=tuple(method.row() for method in METHODS.values()),
        accuracy=tuple(
            AccuracyRow(scheme, b, weights, top1, 450, scheme == "truncquant" and weights == "shifted")
            for (scheme, weights), values in TOP1.items()
            for b, top1 in zip(BITS, values, strict=True)
        ),
        energy=tuple(EnergyRow(m, b, s, c, e) for m, b, s in runs for c, e in _energy(m, b, s).items()),
        traffic=tuple(TrafficRow(m, b, s, d, n, n // 16) for m, b, s in runs for d, n in _traffic(m, b, s).items()),
        storage=tuple(
            StorageRow(m, BITS, size, {"codes": size - 0.04, "scales": 0.01, "batch_norm": 0.03})
            for m, size in zip(METHODS, (0.31, 1.37, 0.71, 0.31), strict=True)
        ),
        area=tuple(
            AreaRow(w, w, spad, name, group, instances, instances * size * (w + SPADS.index(spad)))
            for spad in SPADS
            for w in (8, 2)
            for name, group, instances, size in (
                ("DRAM", DRAM, 1, 0.0),
                ("buffer", GLB, 1, 1e5),
                ("spad", ARRAY, 168, 1e3),
                ("mac", ARRAY, 168, 250.0),
            )
        ),
        amortised=tuple(
            AmortisedRow(m, b, n, steady + (switch - steady) / n, 1e6 / n)
            for m, b in _runs()
            for switch, steady in [(sum(_energy(m, b, s).values()) for s in STATES[1:])]
            for n in (1, 2, 5, 10, 100, 1000)
        ),
        schedule=tuple(schedule),
        layers=(_layer("layer1.0", None, 16), _layer("layer2.0", None, 32), _layer("fc", 32, 64)),
        fronts=(
            FrontRow(2, 1, 0.5, 900, 0.0, {"layer1.0": (2, 0), "layer2.0": (1, 1), "fc": (1,)}),
            FrontRow(2, 2, 0.75, 400, 0.0, {"layer1.0": (0, 2), "layer2.0": (0, 2), "fc": (1,)}),
            FrontRow(8, 1, 1.5, 900, 0.01, {"layer1.0": (1, 1), "layer2.0": (2,), "fc": (1,)}),
        ),
        layer_fronts=(LayerFrontRow("fc", 2, 1, 1234.5, 64, 0.25, "hardware/sram/fetch32_weights32/fronts/fc/1.yaml"),),
        summary=(
            *(
                _ratio(q, s, b, spad)
                for spad in SPADS
                for s in STATES
                for b in BITS
                for q in ("dram_traffic", "energy")
            ),
            *storage,
        ),
        notes=("weights of 6 bits: rows of 64 bits hold 10 words, 6.2 % padding", "scratchpads interpolated <a>"),
        provenance={"versions": {"tqhw": "0.1.0"}, "seed": 0, "command": ["tqhw", "run"], "wall_seconds": 51.2},
    )


def with_hardware(folder: Path, name: str = "conv", dram_bandwidth: float | None = None) -> Results:
    """Results of one layer, ResNet-18's second; in ``folder`` its rendering and mapping as a run leaves them."""
    there = "hardware/sram/fetch8_weights8"
    file = "01_layer1.0.conv1.yaml"
    for place in (folder / there / "mappings", folder / "problems"):
        place.mkdir(parents=True)
    found = architecture.load(["eyeriss_like"], {} if dram_bandwidth is None else {"dram_bandwidth": dram_bandwidth})
    (folder / there / "architecture.yaml").write_text(found.text, "utf-8")
    shutil.copy(ROOT / "workloads/resnet18/02_layer1.0.conv1.yaml", folder / "problems" / file)
    shutil.copy(ROOT / "mappings/eyeriss_like/resnet18/02_layer1.0.conv1.map.yaml", folder / there / "mappings" / file)
    run = LayerEvaluation(
        8, 8, "sram", 9e8, 802816, 0.857, True, {DRAM: 9e8}, {"Weights": 294912, "Inputs": 10**6}, there
    )
    layer = LayerRow(name, (name,), 4, "conv2d", {"C": 64, "M": 64}, 115605504, 36864, None, (run,))
    return Results(experiment={"bits": [8], "stored_bits": 8}, layers=(layer,))


@cache
def drawn() -> tuple[Picture, ...]:
    """The sample's figures, drawn once."""
    return pictures(sample())
