"""What an answer takes in onnxruntime: FP32, codes of every call, codes of a precision once, packed, and in integers.

    python benchmarks/onnx_speed.py [--batch 1]

Prints milliseconds of processor time, the median of several runs, on one thread, for ResNet-20 on 32x32 pictures and
for a stack of four linear layers of 1,024; all layers are quantized, to 8 bits and shifted to 4. Weights are random.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from tqhw import models
from tqhw.quant import OnnxModel, QuantConfig, convert, save_onnx
from tqhw.quant.onnx.run import session

RUNS = 25


def stack() -> nn.Module:
    layers: list[nn.Module] = []
    for _ in range(4):
        layers += [nn.Linear(1024, 1024), nn.ReLU()]
    return nn.Sequential(*layers)


def resnet20() -> nn.Module:
    return models.build("resnet20")


def milliseconds(work: Callable[[], object]) -> float:
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        found.append((time.process_time() - start) * 1e3)
    return median(found)


def plain(network: nn.Module, x: torch.Tensor, path: Path) -> Callable[[], object]:
    torch.onnx.export(network.eval(), (x,), path, dynamo=False, input_names=["images"])
    running = session(path)
    return lambda: running.run(None, {"images": x.numpy()})


def rows(build: Callable[[], nn.Module], x: torch.Tensor, folder: Path) -> dict[str, float]:
    def converted(activations: str) -> nn.Module:
        config = QuantConfig(precisions=(4, 8), first=None, last=None, activations=activations)  # type: ignore[arg-type]
        model = convert(build(), config)
        with torch.no_grad():
            model(x)
        return model.eval()

    shape = tuple(x.shape[1:])
    save_onnx(converted("full"), folder / "full.onnx", shape)
    save_onnx(converted("pact"), folder / "pact.onnx", shape)
    save_onnx(converted("pact"), folder / "integers.onnx", shape, integers=True)
    whole, bits = session(folder / "full.onnx"), np.array(4, np.int64)
    found = {
        "FP32 network": milliseconds(plain(build(), x, folder / "plain.onnx")),
        "one graph, codes made numbers in every call": milliseconds(
            lambda: whole.run(None, {"images": x.numpy(), "bits": bits})
        ),
    }
    forms: list[tuple[str, str, dict[str, bool]]] = [
        ("a precision once", "full", {}),
        ("a precision once, quantized activations", "pact", {}),
        ("a precision once, in integers", "integers", {}),
    ]
    if len(shape) == 1:  # linear layers
        forms += [
            ("packed codes", "full", {"packed": True}),
            ("packed codes, inputs rounded to 8 bits", "full", {"packed": True, "rounded_inputs": True}),
        ]
    for name, file, how in forms:
        model = OnnxModel(folder / f"{file}.onnx", 4, **how)
        found[name] = milliseconds(lambda model=model: model(x.numpy()))  # type: ignore[misc]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=1)
    batch = parser.parse_args().batch
    torch.set_num_threads(1)
    for name, build, shape in (("resnet20", resnet20, (3, 32, 32)), ("linear layers", stack, (1024,))):
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for what, taken in rows(build, torch.randn(batch, *shape), Path(folder)).items():
                print(f"{name:14} {what:46} {taken:10.3f} ms")


if __name__ == "__main__":
    main()
