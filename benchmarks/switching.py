"""What it takes to change the precision of a loaded model, beside loading it anew.

    python benchmarks/switching.py [--model resnet20] [--input 1,32,32]

Prints milliseconds, the median of several runs, on one thread: PyTorch's model, the reader with NumPy alone
(examples/device/reader.py), and onnxruntime where it is installed. Weights are random.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

from tqhw import models
from tqhw.quant import OnnxModel, QuantConfig, at_bits, convert, load, save, save_onnx, set_bits


def milliseconds(work: Callable[[], object], before: Callable[[], object] = lambda: None, runs: int = 9) -> float:
    found = []
    for _ in range(runs):
        before()
        start = time.perf_counter()
        work()
        found.append((time.perf_counter() - start) * 1e3)
    return median(found)


def reader() -> Any:
    path = Path(__file__).parents[1] / "examples" / "device" / "reader.py"
    spec = importlib.util.spec_from_file_location("tqhw_reader", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module.Model


def of_pytorch(path: Path, build: Callable[[], torch.nn.Module], x: torch.Tensor) -> dict[str, float]:
    held: list[torch.nn.Module] = []

    def anew(bits: int) -> None:
        held[:] = [load(path, bits).into(build()).eval()]

    def answer() -> None:
        with torch.no_grad():
            held[0](x)

    found = {f"loads {bits} bits anew": milliseconds(lambda bits=bits: anew(bits)) for bits in (2, 8)}  # type: ignore[misc]
    found["switches to 8 bits, reading 6 planes"] = milliseconds(lambda: set_bits(held[0], 8), lambda: anew(2))
    found["switches to 2 bits, reading their norms"] = milliseconds(lambda: set_bits(held[0], 2), lambda: anew(8))
    found["switches back to 8 bits"] = milliseconds(lambda: set_bits(held[0], 8), lambda: set_bits(held[0], 2))
    found["switches a layer"] = milliseconds(lambda: set_bits(held[0], {"*conv1*": 2}), lambda: set_bits(held[0], 8))

    def inside() -> None:
        with at_bits(held[0], 2):
            pass

    found["enters and leaves a context of 2 bits"] = milliseconds(inside)
    found["first answer after a switch"] = milliseconds(
        answer, lambda: (set_bits(held[0], 2), answer(), set_bits(held[0], 8))
    )
    found["every other answer"] = milliseconds(answer)
    plain = build().eval()
    with torch.no_grad():
        found["an answer of the plain FP32 network"] = milliseconds(lambda: plain(x))
    return found


def of_numpy(path: Path) -> dict[str, float]:
    kind, held = reader(), []

    def anew(bits: int) -> None:
        held[:] = [kind(path, bits)]

    found = {f"loads {bits} bits anew": milliseconds(lambda bits=bits: anew(bits)) for bits in (2, 8)}  # type: ignore[misc]
    found["switches to 8 bits, reading 6 planes"] = milliseconds(lambda: held[0].set_bits(8), lambda: anew(2))
    found["switches back to 8 bits"] = milliseconds(lambda: held[0].set_bits(8), lambda: held[0].set_bits(2))
    return found


def of_onnx(path: Path, x: torch.Tensor, runs: int = 30) -> dict[str, float]:
    from tqhw.quant.onnx.run import session

    held: list[OnnxModel] = []
    images = x.numpy()

    def anew(bits: int) -> None:
        held[:] = [OnnxModel(path, bits)]

    found = {f"loads {bits} bits anew": milliseconds(lambda bits=bits: anew(bits)) for bits in (2, 8)}  # type: ignore[misc]
    found["switches to 8 bits, first time"] = milliseconds(lambda: held[0].set_bits(8), lambda: anew(2))
    found["switches back to 8 bits"] = milliseconds(lambda: held[0].set_bits(8), lambda: held[0].set_bits(2))
    found["an answer"] = milliseconds(lambda: held[0](images), runs=runs)
    whole, bits = session(path), torch.tensor(8).numpy()
    feeds = {"images": images, "bits": bits}
    found["an answer of the one graph for all precisions"] = milliseconds(lambda: whole.run(None, feeds), runs=runs)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="resnet20")
    parser.add_argument("--input", default="3,32,32")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    shape = tuple(map(int, chosen.input.split(",")))
    options: dict[str, Any] = {"in_channels": shape[0]} if chosen.model == "resnet20" else {}

    def build() -> torch.nn.Module:
        return models.build(chosen.model, **options)

    model = convert(build(), QuantConfig(precisions=(2, 4, 8))).eval()
    x = torch.randn(1, *shape)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        print(f"{chosen.model}, {save(model, path):,} bytes")
        parts = {"PyTorch": of_pytorch(path, build, x), "NumPy": of_numpy(path)}
        if importlib.util.find_spec("onnxruntime") is not None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                save_onnx(model, path, shape)
            parts["onnxruntime"] = of_onnx(path, x)
    for name, rows in parts.items():
        for what, taken in rows.items():
            print(f"{name:12} {what:46} {taken:10.3f} ms")


if __name__ == "__main__":
    main()
