"""Prefill and decode: two workloads of one model, and what they move through the KV cache."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from typer.testing import CliRunner  # noqa: E402

from tqhw.cli import app  # noqa: E402
from tqhw.errors import TqhwError  # noqa: E402
from tqhw.workload import extract  # noqa: E402
from tqhw.workload.layers import Cache  # noqa: E402

WORDS, WIDTH, HEADS, LENGTH = 20, 8, 2, 6


class Decoder(nn.Module):
    """Two layers of attention over two heads, with a cache of keys and values, given back as ``form`` says."""

    def __init__(self, form: str = "dictionary") -> None:
        super().__init__()
        self.form = form
        self.words = nn.Embedding(WORDS, WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH, bias=False) for _ in range(2))
        self.head = nn.Linear(WIDTH, WORDS, bias=False)

    def forward(self, ids: Tensor, mask: Tensor | None = None, past_key_values: Any = None) -> Any:
        x, kept = self.words(ids), []
        for i, layer in enumerate(self.layers):
            q, k, v = (t.unflatten(-1, (HEADS, -1)).transpose(1, 2) for t in layer(x).chunk(3, -1))
            if past_key_values is not None:
                k, v = (torch.cat([old, new], 2) for old, new in zip(past_key_values[i], (k, v), strict=True))
            kept.append((k, v))
            x = x + (torch.softmax(q @ k.mT, -1) @ v).transpose(1, 2).flatten(2)
        logits = self.head(x)
        if self.form == "none":
            return logits
        return {"logits": logits, "past_key_values": kept} if self.form == "dictionary" else (logits, kept)


WEIGHTS = 2 * 3 * WIDTH * WIDTH + WIDTH * WORDS


def of_attention(rows: int, length: int) -> int:
    return 2 * 2 * rows * length * WIDTH


@pytest.mark.parametrize("form", ["dictionary", "tuple"])
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_two_workloads_of_one_model(form: str, device: str) -> None:
    model = Decoder(form).to(device)
    given = {"ids": f"int64[1,{LENGTH}]", "mask": f"int64[1,{LENGTH}]"}
    prefill, decode = (extract(model, given, phase=phase) for phase in ("prefill", "decode"))
    assert prefill.macs == LENGTH * WEIGHTS + of_attention(LENGTH, LENGTH) == extract(model, given).macs
    assert decode.macs == WEIGHTS + of_attention(1, LENGTH + 1)
    assert prefill.weights == decode.weights == WEIGHTS
    token = 2 * 2 * WIDTH  # keys and values of two layers
    assert prefill.cache == Cache(read=0, written=LENGTH * token, stored=LENGTH * token)
    assert decode.cache == Cache(read=(LENGTH + 1) * token, written=token, stored=(LENGTH + 1) * token)
    assert decode.inputs == ("ids:int64[1,1]", f"mask:int64[1,{LENGTH + 1}]")
    names = [name for layer in decode.layers if not layer.has_weights for name in layer.names]
    assert sorted(names) == [f"Decoder:kv_cache{end}" for end in ("", "_2", "_3", "_4")]
    assert not any("kv_cache" in name for layer in prefill.layers for name in layer.names)
    assert decode.notes == (
        f"decode: one token after a prompt of {LENGTH}, whose keys and values are in the KV cache",
        "KV cache: 224 words read, 32 written, 224 stored afterwards",
    )


class EncoderDecoder(nn.Module):
    """One layer each; the decoder's cache holds its own keys and those of what the encoder gave."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(WORDS, WIDTH)
        self.encoder, self.cross, self.own = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(3))

    def forward(
        self,
        ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        decoder_input_ids: Tensor | None = None,
        decoder_attention_mask: Tensor | None = None,
        encoder_outputs: Any = None,
        past_key_values: Any = None,
    ) -> Any:
        encoded = self.encoder(self.words(ids)) if encoder_outputs is None else encoder_outputs[0]
        if attention_mask is not None:
            assert attention_mask.shape == encoded.shape[:2]
        rows = self.words(ids if decoder_input_ids is None else decoder_input_ids)
        own = self.own(rows)
        cross = self.cross(encoded) if past_key_values is None else past_key_values[1]
        if past_key_values is not None:
            own = torch.cat([past_key_values[0], own], 1)
        if decoder_attention_mask is not None:
            assert decoder_attention_mask.shape[1] == own.shape[1]
        found = rows @ own.mT @ own + rows @ cross.mT @ cross
        return {"logits": found, "past_key_values": (own, cross), "encoder_last_hidden_state": encoded}


@pytest.mark.parametrize("target", [4, LENGTH])
def test_the_encoder_runs_in_the_prefill_alone(target: int) -> None:
    given = {
        "ids": f"int64[1,{LENGTH}]",
        "attention_mask": f"int64[1,{LENGTH}]",
        "decoder_input_ids": f"int64[1,{target}]",
        "decoder_attention_mask": f"int64[1,{target}]",
    }
    prefill, decode = (extract(EncoderDecoder(), given, phase=phase) for phase in ("prefill", "decode"))
    square = WIDTH * WIDTH
    of_products = 2 * WIDTH * (target * target + target * LENGTH)
    assert prefill.macs == (2 * LENGTH + target) * square + of_products
    assert decode.macs == square + 2 * WIDTH * (target + 1 + LENGTH)
    assert (prefill.weights, decode.weights) == (3 * square, square)
    assert prefill.parameters == decode.parameters
    assert decode.cache == Cache((target + 1 + LENGTH) * WIDTH, WIDTH, (target + 1 + LENGTH) * WIDTH)
    assert sorted(decode.inputs) == [
        f"attention_mask:int64[1,{LENGTH}]",
        f"decoder_attention_mask:int64[1,{target + 1}]",
        "decoder_input_ids:int64[1,1]",
        f"encoder_outputs:float32[1,{LENGTH},{WIDTH}]",
    ]
    assert decode.notes[0].endswith(f"what the encoder gave, [1, {LENGTH}, {WIDTH}], is there, and it does not run")


def test_a_decoder_that_reads_the_ids_of_the_encoder() -> None:
    decode = extract(EncoderDecoder(), {"ids": f"int64[1,{LENGTH}]"}, phase="decode")
    assert decode.inputs == ("decoder_input_ids:int64[1,1]", f"encoder_outputs:float32[1,{LENGTH},{WIDTH}]")
    assert decode.macs == WIDTH * WIDTH + 2 * WIDTH * (2 * LENGTH + 1)


def no_cache() -> nn.Module:
    return nn.Sequential(nn.Embedding(WORDS, WIDTH), nn.Linear(WIDTH, WORDS))


@pytest.mark.parametrize(
    ("model", "given", "message"),
    [
        (
            no_cache(),
            "int64[1,6]",
            "the model has no KV cache: its forward pass takes no past_key_values or cache, but",
        ),
        (Decoder("none"), "int64[1,6]", "the forward pass gave no KV cache back: no past_key_values or cache, and no"),
    ],
)
def test_models_without_a_cache(model: nn.Module, given: str, message: str) -> None:
    with pytest.raises(TqhwError) as caught:
        extract(model, given, phase="decode", name="net")
    assert str(caught.value).startswith(f"model net: {message}")


def test_the_command_writes_both(tmp_path: Path) -> None:
    model = "tests.workload.test_generation:Decoder"
    found = CliRunner().invoke(app, ["workload", model, "--input", "1,6", "--phases", "--out", str(tmp_path / "out")])
    assert found.exit_code == 0, found.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["decode", "prefill"]
    text = found.output.replace("\n", " ")
    assert "note: KV cache: 0 words read, 192 written, 192 stored afterwards" in text
    assert "note: KV cache: 224 words read, 32 written, 224 stored afterwards" in text
