"""The ways to a network of several precisions, behind one small interface: what is trained, and with what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal

from tqhw.errors import TqhwError
from tqhw.results.words import TRAINED

FLOAT_BITS: Final = 32


@dataclass(frozen=True)
class Method:
    """A quantizer and a way to train with it. ``label``: what tables and figures call it.

    ``training``: ``joint`` trains one network at all precisions; ``separate`` one network per precision;
    ``none`` trains it in floating point and quantizes afterwards, with batch norms calibrated for each
    precision, since the normalisation of DoReFa changes the scale of a layer; ``float`` trains it in floating
    point, where it stays. ``fixed``: options that define the
    method, by section and name. ``defaults``: options that it has where a recipe says nothing, likewise.
    """

    name: str
    label: str
    scheme: str
    training: Literal["joint", "separate", "none", "float"]
    fixed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    defaults: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def networks(self, precisions: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
        """The precisions of every network that has to be trained to serve ``precisions``."""
        if self.training == "float":
            return ((FLOAT_BITS,),)
        return tuple((bits,) for bits in precisions) if self.training == "separate" else (precisions,)

    def complete(self, section: str, options: Mapping[str, Any]) -> dict[str, Any]:
        """``options`` of a recipe, and what the method has where they say nothing."""
        return {**self.defaults.get(section, {}), **self.fixed.get(section, {}), **options}

    def check(self, section: str, options: Mapping[str, Any]) -> None:
        """Refuses a value that contradicts the method's definition."""
        for name, value in self.fixed.get(section, {}).items():
            if options[name] != value:
                raise TqhwError(
                    f"{options[name]!r} contradicts method {self.name}, which has {value!r}",
                    place=f"{section}.{name}",
                    lever="leave it out, or use method dorefa or truncquant",
                )


METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        method.name: method
        for method in (
            Method("truncquant", TRAINED["truncquant"], "truncquant", "joint"),
            Method("dorefa", TRAINED["dorefa"], "dorefa", "joint"),
            # Yu et al., AAAI 2021, and the settings of their published code; docs/quantization.md says what differs.
            Method(
                "any_precision",
                TRAINED["any_precision"],
                "dorefa",
                "joint",
                fixed={
                    "quantization": {"first": "full", "last": "full", "norms": "switchable"},
                    "training": {"distillation": "recursive"},
                },
                defaults={"quantization": {"activations": "dorefa", "activation_bits": None}},
            ),
            Method("single", TRAINED["single"], "dorefa", "separate"),
            Method("post_training", TRAINED["post_training"], "dorefa", "none"),
            Method("fp32", TRAINED["fp32"], "dorefa", "float"),
        )
    }
)
