"""What has to do with networks: experiments, recipes, checkpoints, packed models, data sets."""

from __future__ import annotations

import gzip
import io
import json
import pickle
import tarfile
import tempfile
from contextlib import suppress
from functools import cache
from hashlib import sha256
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests.datasets.test_unpickle import python2_batch
from tests.fuzz import mutate
from tests.fuzz.kind import Form, Kind
from tqhw import experiment, sweep
from tqhw.datasets.cifar10 import cifar10
from tqhw.datasets.image_folder import FolderData
from tqhw.datasets.unpickle import read_pickled
from tqhw.errors import TqhwError
from tqhw.models import check_declared
from tqhw.pipeline import accuracy
from tqhw.quant import QuantConfig, convert, load, save
from tqhw.spec import yamlio
from tqhw.train import Checkpoints, extent_of, load_run, read_recipe, train_run
from tqhw.train.checkpoint import restore

NAME = "tests.fuzz.trained:net"
EXPERIMENT = """\
name: fuzzed
model: {name: resnet20, options: {in_channels: 1, num_classes: 10}, input: [1, 1, 16, 16]}
bits: [2, 4, 8]
stored_bits: 8
methods: [truncquant, any_precision]
states: [initial_loading, steady]
quantization: {first: full, last: 8, layers: {"layer1.*": 4, fc: null}, activations: pact, activation_bits: 4}
training: {data: digits, size: 16, schemes: [truncquant], epochs: 2, batch_size: 64, learning_rate: 0.1, threads: 1}
architecture: {name: eyeriss_like, params: {packing: pack}}
spad_models: [sram]
scenario:
  {layout: packed, quantizer: 4.5, truncation: wires, inferences_per_switch: [1, 9], residency: auto,
   schedule: [8, {bits: 2, inferences: 9}]}
search: {objective: edp}
seed: 3
timeloop: {algorithm: random, victory_condition: 10, budget_s: 5}
container: {image: tqhw, memory_mb: 512}
"""
SWEEP = """\
name: fuzzed
experiment:
  model: {name: resnet20, options: {in_channels: 1, num_classes: 10}, input: [1, 1, 16, 16]}
  architecture: {name: eyeriss_like, params: {packing: pack}}
  states: [steady]
grid:
  bits: [2, 4, [2, 8]]
  architecture.params.pe_columns: {from: 4, to: 16, times: 2}
zip: {architecture.params.glb_rows: [4096, 16384], scenario.layout: [packed, bitplane]}
list: [{search.objective: edp}, {search.objective: latency}]
random: {samples: 3, seed: 1, keys: {architecture.params.weights_spad_rows: {from: 8, to: 256, log: true}}}
derive: {architecture.params.psum_glb_rows: "max(glb_rows // 2, 8)"}
where: [pe_columns * 12 <= 168, "architecture.params.pe_rows > 2 or not weights_spad_rows"]
"""
RECIPE = """\
method: truncquant
bits: [2, 4]
model: {name: "tests.fuzz.trained:net", options: {width: 2}}
data: {name: digits, size: 8}
quantization: {first: null, last: null, layers: {conv: 4}, norms: switchable}
training:
  {epochs: 1, batch_size: 512, learning_rate: 0.1, momentum: 0.9, threads: 1, schedule: step, milestones: [0.5, 0.75]}
"""


class Net(nn.Module):
    """Takes (N, 1, 8, 8), gives (N, 10)."""

    def __init__(self, width: int = 2) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.fc = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.fc(torch.relu(self.norm(self.conv(x))).mean(dim=(2, 3)))
        return found


def net(width: int = 2) -> nn.Module:
    """The network; wider ones would take memory that a test does not have."""
    if not isinstance(width, int) or not 1 <= width <= 8:
        raise ValueError(f"width {width}")
    return Net(width)


def _experiment(folder: Path) -> None:
    found = experiment.load(folder / "experiment.yaml")
    found.options()
    found.scenario.steps()
    recipe = accuracy.recipe(found, "truncquant")
    json.dumps(recipe.json)
    accuracy.model_input(found)
    check_declared(found.model.name)


def _recipe(folder: Path) -> None:
    place = folder / "recipe.yaml"
    found = read_recipe(yamlio.as_map(yamlio.load(place), str(place), "a recipe"), str(place))
    json.dumps(found.json)
    found.data.open()
    if found.model.name == NAME:
        found.network(found.bits)
    else:
        check_declared(found.model.name)


@cache
def _trained() -> bytes:
    recipe = read_recipe(yamlio.parse(RECIPE))
    with tempfile.TemporaryDirectory() as folder:
        train_run(recipe, Path(folder))
        return (Path(folder) / "checkpoint.safetensors").read_bytes()


def _checkpoint(folder: Path) -> None:
    path = folder / "checkpoint.safetensors"
    str(extent_of(path))
    model, recipe = load_run(path, model=NAME)
    optimizer = torch.optim.SGD(model.parameters(), recipe.training.learning_rate, momentum=0.9)
    known = read_recipe(yamlio.parse(RECIPE))
    restore(Checkpoints(folder, known.json), model, optimizer, known.training)


def _packed(folder: Path) -> None:
    path = folder / "model.safetensors"
    for bits in (2, 4):
        load(path, bits).into(Net(2))


@cache
def _models() -> list[dict[str, bytes]]:
    found = []
    for options in ({}, {"layers": {"conv": 3}, "granularity": "channel"}, {"norms": "shared", "last": 8}):
        config: Any = {"precisions": (2, 4), "first": None, "last": None, **options}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model"
            save(convert(Net(2), QuantConfig(**config)).eval(), path, stored=4, recipe={"model": "net"})
            found.append({"model.safetensors": path.read_bytes()})
    return found


def _read_tensors(content: bytes) -> Any:
    """A safetensors file as its header, its own JSON within, and the tensors' bytes in hexadecimal digits."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    return {
        "tqhw": json.loads(metadata["tqhw"]),
        "sealed": "tqhw_sha256" in metadata,
        "entries": header,
        "data": content[8 + length :].hex(),
    }


def _write_tensors(tree: Any) -> bytes:
    parts = tree if isinstance(tree, dict) else {}
    text = mutate.written(parts.get("tqhw")).decode("utf-8", errors="replace")
    metadata = {"tqhw": text}
    if parts.get("sealed"):
        metadata["tqhw_sha256"] = sha256(text.encode()).hexdigest()
    entries = parts.get("entries")
    header = mutate.written({"__metadata__": metadata, **(entries if isinstance(entries, dict) else {"x": entries})})
    try:
        data = bytes.fromhex(str(parts.get("data")))
    except ValueError:
        data = b""
    return len(header).to_bytes(8, "little") + header + data


TENSORS = Form(_read_tensors, _write_tensors)


def _archive(folder: Path) -> None:
    data = cifar10(folder / "small.tar.gz", check=False)
    next(data.train_batches(2, 0, 0))
    list(data.test_batches(4))


def _batches() -> dict[str, bytes]:
    names = [*(f"data_batch_{n}" for n in range(1, 6)), "test_batch"]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3072), dtype=np.uint8)
    return {name: python2_batch(pixels, [1, 9]) for name in names}


def _tar(members: dict[str, bytes], mode: str = "w:gz") -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        for name, content in members.items():
            entry = tarfile.TarInfo(f"cifar/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def _archives() -> list[dict[str, bytes]]:
    records = np.random.default_rng(0).integers(0, 10, (2, 3073), dtype=np.uint8).tobytes()
    binary = {f"{name}.bin": records for name in _batches()}
    packings = [(members, mode) for members in (_batches(), binary) for mode in ("w:gz", "w", "w:xz", "w:bz2")]
    return [{"small.tar.gz": _tar(*packing)} for packing in packings]


def _unpacked(content: bytes) -> bytes:
    """A gzipped archive's inside: a change behind the packing's checksum never gets further than that."""
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


TAR = Form(
    lambda content: _unpacked(content).hex(" ", -512).split(" "),
    lambda tree: (
        gzip.compress(
            b"".join(bytes.fromhex(block) for block in tree if isinstance(block, str) and _hexadecimal(block)), 1
        )
        if isinstance(tree, list)
        else b""
    ),
)


def _hexadecimal(text: str) -> bool:
    return len(text) % 2 == 0 and text.isascii() and all(c in "0123456789abcdef" for c in text)


def _images(folder: Path) -> None:
    data = FolderData(folder, size=4)
    for number, batch in enumerate(data.train_batches(1, 0, 0)):
        assert batch[0].shape == (1, 3, 4, 4), number
    list(data.test_batches(2))


@cache
def _pictures() -> list[dict[str, bytes]]:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 11, 3), dtype=np.uint8)
    found = []
    modes = {"png": ("RGB", "L", "P", "RGBA", "I;16", "1"), "jpg": ("RGB", "L", "CMYK"), "bmp": ("RGB", "P", "1"),
             "ppm": ("RGB", "L", "1"), "webp": ("RGB", "RGBA")}  # fmt: skip
    for ending, kinds in modes.items():
        for mode in kinds:
            image = Image.fromarray(pixels)
            image = Image.fromarray(pixels[:, :, 0].astype(np.uint16) * 99) if mode == "I;16" else image.convert(mode)
            stream = io.BytesIO()
            image.save(stream, {"jpg": "jpeg"}.get(ending, ending))
            whole = stream.getvalue()
            found.append({f"train/a/x.{ending}": whole, f"val/a/y.{ending}": whole})
    return found


def _pickle(folder: Path) -> None:
    found = read_pickled((folder / "data_batch_1").read_bytes(), "data_batch_1")
    repr(found)[:100]


def _pickles() -> list[dict[str, bytes]]:
    pixels = np.zeros((2, 3), np.uint8)
    contents = [python2_batch(pixels, [1, 2])]
    document = {b"data": pixels, "labels": [1, 2], "more": ("x", None, True, (1, (2, (3,)))), "name": "a" * 300}
    contents += [pickle.dumps(document, protocol) for protocol in (2, 3, 4, 5)]
    return [{"data_batch_1": content} for content in contents]


def _sweep(folder: Path) -> None:
    """All that ``tqhw sweep`` does before the first search, of its first points."""
    swept = sweep.load(folder / "sweep.yaml")
    json.dumps(swept.described())
    with suppress(TqhwError):
        swept.check_size(yes=False)
    for point in islice(swept, 40):
        json.dumps(point.settings)
        with suppress(TqhwError):  # a result of the point
            point.experiment()


KINDS = (
    Kind("sweeps", lambda: [{"sweep.yaml": SWEEP.encode()}], _sweep),
    Kind("experiments", lambda: [{"experiment.yaml": EXPERIMENT.encode()}], _experiment),
    Kind("recipes", lambda: [{"recipe.yaml": RECIPE.encode()}], _recipe),
    Kind("checkpoints", lambda: [{"checkpoint.safetensors": _trained()}], _checkpoint, forms={".safetensors": TENSORS}),
    Kind("packed models", _models, _packed, forms={".safetensors": TENSORS}),
    Kind("archives", _archives, _archive, forms={".gz": TAR}),
    Kind("images", _pictures, _images),
    Kind("pickles", _pickles, _pickle),
)
