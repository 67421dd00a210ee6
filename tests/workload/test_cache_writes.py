"""What a call writes to a KV cache that does not simply grow: a window, a buffer, a state, a part that stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402

from tqhw.workload import extract  # noqa: E402
from tqhw.workload.layers import Cache  # noqa: E402

WIDTH, LENGTH, WINDOW, ROOM = 4, 6, 3, 10
TOKEN = 2 * WIDTH  # its key and its value

Update = Callable[[Any, Tensor, Tensor], tuple[Any, Tensor, Tensor]]
"""The old cache (None at first), keys and values of the new tokens: the new cache, what attention reads."""


class Attention(nn.Module):
    """One head, whose cache is kept as ``update`` does it."""

    def __init__(self, update: Update) -> None:
        super().__init__()
        self.update = update
        self.words, self.project = nn.Embedding(20, WIDTH), nn.Linear(WIDTH, 3 * WIDTH, bias=False)

    def forward(self, ids: Tensor, past_key_values: Any = None) -> Any:
        q, k, v = self.project(self.words(ids)).chunk(3, -1)
        kept, k, v = self.update(past_key_values, k, v)
        return torch.softmax(q @ k.mT, -1) @ v, kept


def window(old: Any, k: Tensor, v: Tensor) -> tuple[Any, Tensor, Tensor]:
    """The last tokens alone, as layers with a sliding window keep them."""
    whole = [torch.cat([one, new], 1) for one, new in zip(old, (k, v), strict=True)] if old else [k, v]
    return [one[:, -WINDOW:] for one in whole], *whole


def ring(old: Any, k: Tensor, v: Tensor) -> tuple[Any, Tensor, Tensor]:
    """A buffer of the window's size, turned by one token and written at its end."""
    if old is None:
        return [k[:, -WINDOW:].clone(), v[:, -WINDOW:].clone()], k, v
    for buffer, new in zip(old, (k, v), strict=True):
        turned = buffer.roll(-1, 1)
        turned[:, -1:] = new
        buffer.copy_(turned)
    return old, *old


def buffer(write: Callable[[Tensor, Tensor, int], Any]) -> Update:
    """Room for many tokens, written in place, of which attention reads all."""

    def update(old: Any, k: Tensor, v: Tensor) -> tuple[Any, Tensor, Tensor]:
        kept = old or {"keys": torch.zeros(1, ROOM, WIDTH), "values": k.new_zeros(1, ROOM, WIDTH)}
        for into, new in zip(kept.values(), (k, v), strict=True):
            write(into, new, LENGTH if old else 0)
        return kept, kept["keys"], kept["values"]

    return update


def by_slice(into: Tensor, new: Tensor, start: int) -> None:
    into[:, start : start + new.shape[1]] = new


def by_index(into: Tensor, new: Tensor, start: int) -> None:
    into.index_copy_(1, torch.arange(start, start + new.shape[1]), new)


def by_positions(into: Tensor, new: Tensor, start: int) -> None:
    into[:, torch.arange(start, start + new.shape[1])] = new


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize(
    ("update", "prefill", "decode"),
    [
        (window, Cache(0, WINDOW * TOKEN, WINDOW * TOKEN), Cache((WINDOW + 1) * TOKEN, TOKEN, WINDOW * TOKEN)),
        (ring, Cache(0, WINDOW * TOKEN, WINDOW * TOKEN), Cache(WINDOW * TOKEN, TOKEN, WINDOW * TOKEN)),
        *(
            (buffer(write), Cache(0, LENGTH * TOKEN, ROOM * TOKEN), Cache(ROOM * TOKEN, TOKEN, ROOM * TOKEN))
            for write in (by_slice, by_index, by_positions)
        ),
    ],
    ids=["window", "ring", "slice", "index_copy", "index_put"],
)
def test_a_token_is_written_once(update: Update, prefill: Cache, decode: Cache, device: str) -> None:
    model = Attention(update).to(device)
    found = [extract(model, f"ids:int64[1,{LENGTH}]", phase=phase) for phase in ("prefill", "decode")]
    assert [workload.cache for workload in found] == [prefill, decode]
    assert found[1].notes[-1] == (
        f"KV cache: {decode.read} words read, {decode.written} written, {decode.stored} stored afterwards"
    )


class StateSpace(nn.Module):
    """A state that every token changes, and beside it keys that are made once of the prompt and stay."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.project = nn.Embedding(20, WIDTH), nn.Linear(WIDTH, WIDTH, bias=False)

    def forward(self, ids: Tensor, past_key_values: Any = None) -> Any:
        rows = self.project(self.words(ids))
        state, keys = past_key_values or (torch.zeros(1, WIDTH, WIDTH), rows)
        for row in rows.unbind(1):
            state = 0.5 * state + row.unsqueeze(-1) * row.unsqueeze(-2)
        return rows @ state @ keys.mT, (state, keys)


def test_a_state_is_written_whole_and_what_stays_is_not() -> None:
    prefill, decode = (extract(StateSpace(), "ids:int64[1,6]", phase=phase) for phase in ("prefill", "decode"))
    state, keys = WIDTH * WIDTH, 6 * WIDTH
    assert prefill.cache == Cache(read=0, written=state + keys, stored=state + keys)
    assert decode.cache == Cache(read=state + keys, written=state, stored=state + keys)


def halves(write: Callable[[Tensor, Tensor, int], Any], apart: int = 0) -> Update:
    """Keys and values are views of one buffer, beside each other along an axis, written through these views."""

    def update(old: Any, k: Tensor, v: Tensor) -> tuple[Any, Tensor, Tensor]:
        kept = old or k.new_zeros(2, 1, ROOM, WIDTH).movedim(0, apart).contiguous().unbind(apart)
        for into, new in zip(kept, (k, v), strict=True):
            write(into, new, LENGTH if old else 0)
        return kept, *kept

    return update


def by_data(into: Tensor, new: Tensor, start: int) -> None:
    into.data[:, start : start + new.shape[1]] = new


def by_sum(into: Tensor, new: Tensor, start: int) -> None:
    into[:, start : start + new.shape[1]].add_(new)


class Inference(Attention):
    """As Llama's published code has it."""

    @torch.inference_mode()
    def forward(self, ids: Tensor, past_key_values: Any = None) -> Any:
        return super().forward(ids, past_key_values)


@pytest.mark.parametrize("kind", [Attention, Inference])
@pytest.mark.parametrize(
    "update",
    [
        buffer(by_slice),
        buffer(by_data),
        buffer(by_sum),
        *(halves(write, apart) for write in (by_slice, by_data, by_index, by_sum) for apart in (0, 1)),
    ],
)
def test_what_is_written_through_a_view_is_in_the_cache(update: Update, kind: type[Attention]) -> None:
    prefill, decode = (extract(kind(update), f"ids:int64[1,{LENGTH}]", phase=phase) for phase in ("prefill", "decode"))
    assert prefill.cache == Cache(0, LENGTH * TOKEN, ROOM * TOKEN)
    assert decode.cache == Cache(ROOM * TOKEN, TOKEN, ROOM * TOKEN)
    plain = extract(Attention(buffer(by_slice)), f"ids:int64[1,{LENGTH}]", phase="decode")
    assert (decode.macs, decode.weights) == (plain.macs, plain.weights)


def chosen(pick: Callable[[Tensor, Tensor], Tensor]) -> Update:
    """The rows of the beams that go on, then the new token."""

    def update(old: Any, k: Tensor, v: Tensor) -> tuple[Any, Tensor, Tensor]:
        rows = torch.tensor([0, 0, 1])
        kept = [torch.cat([pick(one, rows), new], 1) for one, new in zip(old, (k, v), strict=True)] if old else [k, v]
        return kept, *kept

    return update


@pytest.mark.parametrize("pick", [lambda one, rows: one[rows], lambda one, rows: one.index_select(0, rows)])
def test_beams_that_go_on_are_no_new_numbers(pick: Callable[[Tensor, Tensor], Tensor]) -> None:
    decode = extract(Attention(chosen(pick)), f"ids:int64[3,{LENGTH}]", phase="decode")
    assert decode.cache == Cache(3 * (LENGTH + 1) * TOKEN, 3 * TOKEN, 3 * (LENGTH + 1) * TOKEN)


def position(start: int, count: int, like: Tensor) -> Tensor:
    """(1, ROOM, 1): which rows ``count`` new tokens from ``start`` on have."""
    rows = torch.arange(ROOM, device=like.device)
    return ((rows >= start) & (rows < start + count))[None, :, None]


def spread(new: Tensor, start: int) -> Tensor:
    """The new rows at their places in a buffer."""
    return nn.functional.pad(new, (0, 0, start, ROOM - start - new.shape[1]))


def by_where(into: Tensor, new: Tensor, start: int) -> Tensor:
    return torch.where(position(start, new.shape[1], new), spread(new, start), into)


def by_where_not(into: Tensor, new: Tensor, start: int) -> Tensor:
    return into.where(~position(start, new.shape[1], new), spread(new, start))


def by_masks(into: Tensor, new: Tensor, start: int) -> Tensor:
    mask = position(start, new.shape[1], new).to(new.dtype)
    return into * (1 - mask) + mask * spread(new, start)


def by_masks_in_place(into: Tensor, new: Tensor, start: int) -> Tensor:
    mask = position(start, new.shape[1], new)
    return into.mul_(~mask).add_(mask * spread(new, start))


def by_sum_of_masked(into: Tensor, new: Tensor, start: int) -> Tensor:
    return spread(new, start) * position(start, new.shape[1], new) + into


def by_scatter(into: Tensor, new: Tensor, start: int) -> Tensor:
    return into.masked_scatter(position(start, new.shape[1], new), new)


def by_fill(into: Tensor, new: Tensor, start: int) -> Tensor:
    emptied = into.masked_fill(position(start, new.shape[1], new), 0.0)
    return into.copy_(torch.where(position(start, new.shape[1], new), spread(new, start), emptied))


def static(write: Callable[[Tensor, Tensor, int], Tensor]) -> Update:
    """Room for many tokens, of which a mask says where the new ones go."""

    def update(old: Any, k: Tensor, v: Tensor) -> tuple[Any, Tensor, Tensor]:
        room = old or [torch.zeros(1, ROOM, WIDTH, device=k.device) for _ in range(2)]
        kept = [write(one, new, LENGTH if old else 0) for one, new in zip(room, (k, v), strict=True)]
        return kept, *kept

    return update


MASKS = (by_where, by_where_not, by_masks, by_masks_in_place, by_sum_of_masked, by_scatter)


@pytest.mark.parametrize("write", MASKS)
def test_what_a_mask_leaves_is_not_written(write: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    prefill, decode = (
        extract(Attention(static(write)), f"ids:int64[1,{LENGTH}]", phase=phase) for phase in ("prefill", "decode")
    )
    assert prefill.cache == Cache(0, LENGTH * TOKEN, ROOM * TOKEN)
    assert decode.cache == Cache(ROOM * TOKEN, TOKEN, ROOM * TOKEN)
    assert not [note for note in decode.notes if "rewritten" in note]


REWRITTEN = f"{ROOM * TOKEN} words of the KV cache count as wholly rewritten: they are computed anew, or it cannot be"


@pytest.mark.parametrize("write", MASKS)
def test_a_mask_without_numbers_is_told(write: Callable[[Tensor, Tensor, int], Tensor]) -> None:
    """On the meta device; one that is in place or fills leaves the buffer's object, and is counted as whole."""
    decode = extract(Attention(static(write)).to("meta"), f"ids:int64[1,{LENGTH}]", phase="decode")
    assert decode.cache is not None and decode.cache.written == ROOM * TOKEN
    assert any(note.startswith(REWRITTEN) for note in decode.notes)


def test_what_decays_is_rewritten_and_told() -> None:
    """A factor that is no mask leaves no number as it was."""
    decode = extract(
        Attention(static(lambda into, new, start: 0.5 * into + spread(new, start))),
        f"ids:int64[1,{LENGTH}]",
        phase="decode",
    )
    assert decode.cache is not None and decode.cache.written == ROOM * TOKEN
    assert any(note.startswith(REWRITTEN) for note in decode.notes)


def test_a_mask_that_fills_first_is_counted_at_most_twice() -> None:
    decode = extract(Attention(static(by_fill)), f"ids:int64[1,{LENGTH}]", phase="decode")
    assert decode.cache is not None and TOKEN <= decode.cache.written <= 2 * TOKEN
