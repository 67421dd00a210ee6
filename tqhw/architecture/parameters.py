"""The parameters of an architecture template: their types, defaults, ranges, conditions, and the values given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tqhw.errors import TqhwError, unknown
from tqhw.spec import Digits
from tqhw.spec.expression import evaluate

Value = bool | int | float | str | None


@dataclass(frozen=True)
class Parameter:
    """One parameter. ``default`` may be an expression over the parameters before it (``fetch_bits: weight_bits``).

    ``only_if``: an expression over the other parameters; giving the parameter where it is false is an error,
    because nothing would read it. A ``default`` of None means "not limited"; ``none`` then is a value too.
    """

    name: str
    type: str
    default: Value
    help: str
    unit: str = ""
    range: tuple[float, float] | None = None
    choices: tuple[int | float | str, ...] = ()
    only_if: str | None = None

    @property
    def allowed(self) -> str:
        """The values it takes, in words, unit included."""
        if self.type == "bool":
            return "true, false"
        unit = f" {self.unit}" if self.unit else ""
        if self.choices:
            return ", ".join(map(str, self.choices)) + unit
        text = f"{self.range[0]} to {self.range[1]}" if self.range else self.type
        return f"{text}{unit}{', or none' if self.default is None else ''}"

    def typed(self, value: Any, place: str) -> Value:
        """``value``, a text from the command line or a value from a file, as the type of this parameter.

        Raises TqhwError for a value of another type, outside the range, or not among the choices.
        """
        where = f"{place}: {self.name}"
        if self.default is None and (value is None or value == "none"):
            return None
        found = _converted(self.type, value)
        if found is None:
            kind = {"int": "a whole number", "number": "a number", "bool": "true or false", "choice": "a word"}
            raise TqhwError(f"'{value}' is not {kind[self.type]}", place=where, lever=f"allowed: {self.allowed}")
        if self.choices and found not in self.choices:
            if self.type == "choice":
                raise unknown("value", str(value), map(str, self.choices), where)
            raise TqhwError(f"{found} is not one of the values", place=where, lever=f"allowed: {self.allowed}")
        if self.range is not None and not isinstance(found, str):
            low, high = self.range
            if not low <= found <= high:
                raise TqhwError(f"{found} is out of range", place=where, lever=f"allowed: {self.allowed}")
        return found

    def default_value(self, names: Mapping[str, Any], place: str) -> Value:
        """The default, where it is an expression with the values of the parameters before it."""
        if self.type in ("int", "number") and isinstance(self.default, str):
            return self.typed(evaluate(self.default, names, f"{place}: {self.name}"), place)
        return self.default


def _converted(kind: str, value: Any) -> bool | int | float | str | None:
    if kind == "bool":
        if isinstance(value, bool):
            return value
        return {"true": True, "false": False}.get(str(value).lower()) if isinstance(value, str) else None
    if kind == "choice":
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    if not abs(number) < 1e15:  # also refuses infinity and not-a-number
        return None
    if number == int(number):
        return int(number)
    return number if kind == "number" else None


@dataclass(frozen=True)
class Rule:
    """A condition between parameters, and what to say where it does not hold."""

    check: str
    message: str


@dataclass(frozen=True)
class Parameters:
    """What params.yaml says. ``groups``: component name -> group of the reports.

    ``word_bits``: bits of words that memories share, as ``--word-bits`` says them, and ``digits``: the dimension and
    the number of the digits that weights are taken in; numbers may be expressions over the parameters.
    """

    description: str
    parameters: tuple[Parameter, ...]
    rules: tuple[Rule, ...]
    groups: Mapping[str, str]
    source: str
    word_bits: Mapping[str, int | str] = field(default_factory=dict)
    digits: tuple[str, int | str] | None = None

    def complete(self, given: Mapping[str, Any], place: str) -> dict[str, Value]:
        """All parameters: ``given`` where given, else the defaults; in the order of the file.

        Raises TqhwError for an unknown name, a bad value, a parameter that the others make meaningless, and
        values that break a rule of the file.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        for name in given:
            if name not in known:
                raise unknown("parameter", name, known, place)
        result: dict[str, Value] = {}
        for name, parameter in known.items():
            if name in given:
                result[name] = parameter.typed(given[name], place)
            else:
                result[name] = parameter.default_value(_not_none(result), self.source)
        for name in given:
            if not self.applies(known[name], result):
                raise TqhwError(
                    f"{name} is given, but nothing reads it unless {known[name].only_if}",
                    place=place,
                    lever=f"leave {name} out, or set the other parameter",
                )
        for rule in self.rules:
            if not evaluate(rule.check, _not_none(result), self.source):
                values = ", ".join(f"{n} = {result[n]}" for n in known if n in rule.check)
                raise TqhwError(f"{rule.message}: {values}", place=place, lever=f"it must hold that {rule.check}")
        return result

    def applies(self, parameter: Parameter, values: Mapping[str, Value]) -> bool:
        """Whether anything reads the parameter, given the values of all."""
        return parameter.only_if is None or bool(evaluate(parameter.only_if, _not_none(values), self.source))

    def words(self, values: Mapping[str, Value]) -> dict[str, int]:
        """Bits of words by data space and level, with the values of all parameters."""
        return {name: self._whole(bits, values, f"word_bits: {name}") for name, bits in self.word_bits.items()}

    def digits_of(self, values: Mapping[str, Value]) -> Digits | None:
        """The digits that weights are taken in, with the values of all parameters."""
        if self.digits is None:
            return None
        dimension, count = self.digits
        return Digits(dimension, self._whole(count, values, "digits: count"))

    def _whole(self, number: int | str, values: Mapping[str, Value], key: str) -> int:
        place = f"{self.source}: {key}"
        found = evaluate(str(number), _not_none(values), place)
        if isinstance(found, bool) or not isinstance(found, int | float) or found < 1 or found != int(found):
            raise TqhwError(f"'{number}' is {found}, and must be a whole number from 1 up", place=place)
        return int(found)

    def table(self) -> str:
        """The parameters as a Markdown table, for the documentation and the help text."""
        lines = ["| parameter | default | allowed | meaning |", "| --- | --- | --- | --- |"]
        for p in self.parameters:
            default = "none" if p.default is None else str(p.default).lower() if p.type == "bool" else p.default
            note = f" Only if `{p.only_if}`." if p.only_if else ""
            lines.append(f"| `{p.name}` | `{default}` | {p.allowed} | {p.help}{note} |")
        return "\n".join(lines) + "\n"


def _not_none(values: Mapping[str, Value]) -> dict[str, bool | int | float | str]:
    return {name: value for name, value in values.items() if value is not None}
