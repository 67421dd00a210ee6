"""Thirty networks of the field, small ones, built from their configurations: vision, language, speech, detection,
recurrent, mixture of experts, graphs.

``python -m tests.workload.gallery`` counts them by PyTorch's own ``FlopCounterMode`` too, which shares no code with
ours, and writes both counts to ``gallery.json``. It sees attention and recurrent layers in their plain form, and no
routed experts: those of the mixtures of experts are counted by hand in the test.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

RECORD = Path(__file__).with_name("gallery.json")
IDS = "int64[1,12]"


@dataclass(frozen=True)
class Exhibit:
    """A network: where its class and configuration stand, and what it is run on."""

    kind: str
    package: str
    build: Callable[[Any], nn.Module]
    inputs: Mapping[str, str] | str


_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 50,
    "max_position_embeddings": 64,
}


def _transformer(model: str, config: str, **options: Any) -> Callable[[Any], nn.Module]:
    def build(package: Any) -> nn.Module:
        chosen = getattr(package, config)(**options)
        chosen._attn_implementation = "eager"
        made: nn.Module = getattr(package, model)(chosen)
        return made

    return build


def _language(model: str, config: str, **options: Any) -> Exhibit:
    build = _transformer(model, config, **{**_SMALL, **options})
    return Exhibit("language", "transformers", build, {"input_ids": IDS})


def _experts(model: str, config: str, **options: Any) -> Exhibit:
    return replace(_language(model, config, **options), kind="mixture of experts")


def _timm(name: str, size: int = 64, **options: Any) -> Exhibit:
    return Exhibit("vision", "timm", lambda package: package.create_model(name, **options), f"1,3,{size},{size}")


class _Recurrent(nn.Module):
    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.embedding, self.layer, self.fc = nn.Embedding(50, 16), layer, nn.Linear(width, 50)

    def forward(self, ids: Tensor) -> Tensor:
        found: Tensor = self.fc(self.layer(self.embedding(ids))[0])
        return found


def _recurrent(make: Callable[[], nn.Module], width: int) -> Exhibit:
    return Exhibit("recurrent", "torch", lambda _: _Recurrent(make(), width), {"ids": IDS})


class _OnGraph(nn.Module):
    """A ring of eight nodes."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.register_buffer("edges", torch.stack([torch.arange(8), (torch.arange(8) + 1) % 8]))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.layers(x, self.edges)
        return found


def _graph(name: str) -> Exhibit:
    def build(package: Any) -> nn.Module:
        return _OnGraph(getattr(package, name)(16, 8, num_layers=2, out_channels=4))

    return Exhibit("graph", "torch_geometric.nn", build, "8,16")


_VIT = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32}
_SPEECH = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
_HEADS = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4}
_EXPERTS = {"num_key_value_heads": 2, "use_cache": False}

GALLERY: dict[str, Exhibit] = {
    "efficientnet_b0": _timm("efficientnet_b0"),
    "convnext_atto": _timm("convnext_atto"),
    "regnetx_002": _timm("regnetx_002"),
    "mobilenetv3_small": _timm("mobilenetv3_small_050"),
    "ghostnet": _timm("ghostnet_050"),
    "densenet121": _timm("densenet121"),
    "mixer_s32": _timm("mixer_s32_224", 224),
    "deit_tiny": _timm("deit_tiny_patch16_224", 224),
    "vit": Exhibit(
        "vision", "transformers", _transformer("ViTModel", "ViTConfig", patch_size=8, **_VIT), "1,3,32,32"
    ),
    "segformer": Exhibit(
        "vision", "transformers", _transformer("SegformerModel", "SegformerConfig", hidden_sizes=[8, 16, 32, 64]),
        "1,3,64,64",
    ),
    "bert": _language("BertModel", "BertConfig"),
    "roberta": _language("RobertaModel", "RobertaConfig"),
    "albert": _language("AlbertModel", "AlbertConfig", embedding_size=16),
    "electra": _language("ElectraModel", "ElectraConfig", embedding_size=16),
    "gpt2": _language("GPT2LMHeadModel", "GPT2Config", use_cache=False),
    "opt": _language("OPTForCausalLM", "OPTConfig", ffn_dim=64, word_embed_proj_dim=32, use_cache=False),
    "llama": _language("LlamaForCausalLM", "LlamaConfig", **_EXPERTS),
    "mistral": _language("MistralForCausalLM", "MistralConfig", head_dim=8, **_EXPERTS),
    "qwen2": _language("Qwen2ForCausalLM", "Qwen2Config", **_EXPERTS),
    "t5_encoder": Exhibit(
        "language", "transformers",
        _transformer("T5EncoderModel", "T5Config", d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4,
                     vocab_size=50),
        {"input_ids": IDS},
    ),
    "mixtral": _experts(
        "MixtralForCausalLM", "MixtralConfig", num_local_experts=4, num_experts_per_tok=2, head_dim=8, **_EXPERTS
    ),
    "olmoe": _experts("OlmoeForCausalLM", "OlmoeConfig", num_experts=4, num_experts_per_tok=2, **_EXPERTS),
    "wav2vec2": Exhibit(
        "speech", "transformers", _transformer("Wav2Vec2Model", "Wav2Vec2Config", **_SPEECH), "1,4000"
    ),
    "hubert": Exhibit("speech", "transformers", _transformer("HubertModel", "HubertConfig", **_SPEECH), "1,4000"),
    "whisper_encoder": Exhibit(
        "speech", "transformers",
        lambda package: _transformer("WhisperModel", "WhisperConfig", decoder_attention_heads=4, encoder_ffn_dim=64,
                                     decoder_ffn_dim=64, max_source_positions=50, **_HEADS)(package).get_encoder(),
        {"input_features": "float32[1,80,100]"},
    ),
    "yolos": Exhibit(
        "detection", "transformers",
        _transformer("YolosForObjectDetection", "YolosConfig",
                     **{**_VIT, "image_size": [32, 32], "patch_size": 8, "num_detection_tokens": 4}),
        "1,3,32,32",
    ),
    "lstm": _recurrent(lambda: nn.LSTM(16, 24, 2, batch_first=True, bidirectional=True), 48),
    "gru": _recurrent(lambda: nn.GRU(16, 24, batch_first=True), 24),
    "gcn": _graph("GCN"),
    "sage": _graph("GraphSAGE"),
}  # fmt: skip


def built(name: str) -> nn.Module:
    """The network, with its first weights. Raises ImportError, or what a package raises that does not fit."""
    exhibit = GALLERY[name]
    package = importlib.import_module(exhibit.package)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return exhibit.build(package).eval()


def independent(model: nn.Module, inputs: Mapping[str, str] | str) -> int:
    """Multiply-accumulates by PyTorch's counter, two operations each."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    from tqhw.workload.examples import examples

    example = next(iter(examples(model, inputs, "gallery")))
    with ExitStack() as stack:
        stack.enter_context(torch.no_grad())
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.enter_context(torch.backends.mkldnn.flags(enabled=False))  # recurrent layers in products
        counter = stack.enter_context(FlopCounterMode(display=False))
        model(*example.args, **example.kwargs)
    return counter.get_total_flops() // 2


def main() -> None:
    from tqhw.workload import extract

    record = json.loads(RECORD.read_text()) if RECORD.exists() else {}
    for name, exhibit in GALLERY.items():
        try:
            model = built(name)
            found = extract(model, exhibit.inputs, name=name)
            other = independent(model, exhibit.inputs)
        except Exception as error:  # noqa: BLE001 - the next one may do
            sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n"[:600])
            continue
        record[name] = {
            "kind": exhibit.kind,
            "macs": found.macs,
            "weights": found.weights,
            "parameters": found.parameters,
            "layers": len(found.layers),
            "flop_counter": other,
        }
        sys.stderr.write(f"{name}: {found.macs:,} {'' if found.macs == other else f'against {other:,}'}\n")
        RECORD.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
