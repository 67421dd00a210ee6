"""What reports need to know of a metric: how it is called, its unit, and which direction is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ACCURACY: Final = "accuracy"
_LABELS: Final = {
    ACCURACY: "top-1",
    "token_accuracy": "token accuracy",
    "label_accuracy": "label accuracy",
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
}


@dataclass(frozen=True)
class MetricLook:
    """A metric by name, its unit ("%" or none), and whether less of it is better."""

    name: str = ACCURACY
    unit: str = "%"
    lower_is_better: bool = False

    @property
    def label(self) -> str:
        """As a sentence has it: top-1, RMSE; a metric that was added by its name."""
        return _LABELS.get(self.name, self.name.replace("_", " "))

    @property
    def title(self) -> str:
        """As a heading begins: Top-1, RMSE."""
        return self.label[:1].upper() + self.label[1:]

    @property
    def in_unit(self) -> str:
        """``top-1 in %``; of one where less is better, that it is."""
        return (
            self.label
            + (f" in {self.unit}" if self.unit else "")
            + (", lower is better" if self.lower_is_better else "")
        )

    @property
    def axis(self) -> str:
        """Of a figure's axis."""
        if self.name == ACCURACY:
            return "Top-1 accuracy (%)"
        said = [self.unit] if self.unit else []
        said += ["lower is better"] if self.lower_is_better else []
        return self.title + (f" ({', '.join(said)})" if said else "")

    def better(self, one: float, other: float) -> bool:
        """Whether ``one`` is better than ``other``."""
        return one < other if self.lower_is_better else one > other


TOP1: Final = MetricLook()
