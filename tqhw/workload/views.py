"""What a tensor is a view of, also in inference mode, where PyTorch does not say."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from tqhw.quant.identity import storage_of


class Views:
    """Follows the calls of a run."""

    def __init__(self) -> None:
        self._shown = WeakTensorKeyDictionary()

    def note(self, given: Sequence[Tensor], results: Iterable[Tensor]) -> None:
        """Notes which results of a call lie in the memory of a tensor that it was given."""
        owners = {storage_of(tensor): tensor for tensor in given}
        for tensor in results:
            owner = owners.get(storage_of(tensor))
            if owner is not None and all(tensor is not one for one in (*given, *self.of(owner))):
                self._shown[tensor] = owner

    def of(self, tensor: Tensor) -> Iterator[Tensor]:
        """The tensor itself, what it is a view of, what that is one of, and so on."""
        shown: Tensor | None = tensor
        while shown is not None:
            yield shown
            shown = self._shown.get(shown)  # type: ignore[no-untyped-call]

    def whole(self, tensor: Tensor) -> Tensor | None:
        """The tensor that a view shows a part of, and is none itself; None for one that is no view."""
        *_, last = self.of(tensor)
        base = last if last._base is None else last._base
        return None if base is tensor else base
