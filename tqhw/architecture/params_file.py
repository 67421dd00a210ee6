"""Reading ``params.yaml``, which feeds the checks, the help text and the tables in the documentation."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tqhw.architecture.parameters import Parameter, Parameters, Rule
from tqhw.errors import TqhwError, unknown
from tqhw.spec import yamlio

GROUPS = ("DRAM", "GLB", "MAC & spad")  # the component groups of the reports


class _ParameterModel(BaseModel):
    """One entry under ``parameters``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    type: Literal["int", "number", "bool", "choice"]
    default: bool | int | float | str | None
    range: Annotated[list[int | float], Field(min_length=2, max_length=2)] | None = None
    choices: list[int | float | str] | None = None
    unit: str = ""
    help: str
    only_if: str | None = None


class _RuleModel(BaseModel):
    """One entry under ``rules``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    check: str
    message: str


class _DigitsModel(BaseModel):
    """The entry ``digits``."""

    model_config = ConfigDict(extra="forbid", strict=True)

    dimension: str
    count: int | str


class _FileModel(BaseModel):
    """The whole of params.yaml."""

    model_config = ConfigDict(extra="forbid", strict=True)

    description: str
    parameters: dict[str, _ParameterModel]
    rules: list[_RuleModel] = []
    groups: dict[str, list[str]]
    word_bits: dict[str, int | str] = {}
    digits: _DigitsModel | None = None


def load_parameters(path: Path) -> Parameters:
    """The params.yaml of a template folder. Raises TqhwError with its line for anything not as described there."""
    return _parsed(yamlio.read_text(path), str(path))


@cache
def _parsed(text: str, source: str) -> Parameters:
    """Read once, however many widths a template is rendered at."""
    document = yamlio.as_map(yamlio.parse(text, source), source, "params.yaml")
    try:
        model = _FileModel.model_validate(document)
    except ValidationError as error:
        raise _readable(error, document) from None
    parameters = tuple(
        _parameter(name, entry, document["parameters"][name].place()) for name, entry in model.parameters.items()
    )
    groups: dict[str, str] = {}
    for group, names in model.groups.items():
        if group not in GROUPS:
            raise unknown("group", group, GROUPS, document["groups"].place())
        for name in names:
            if name in groups:
                raise TqhwError(
                    f"'{name}' is in the groups '{groups[name]}' and '{group}'",
                    place=document["groups"].place(group),
                    lever="keep one",
                )
            groups[name] = group
    rules = tuple(Rule(rule.check, rule.message) for rule in model.rules)
    digits = None if model.digits is None else (model.digits.dimension, model.digits.count)
    return Parameters(model.description, parameters, rules, groups, source, model.word_bits, digits)


def _parameter(name: str, entry: _ParameterModel, place: str) -> Parameter:
    if not name.isidentifier():
        raise TqhwError(f"the parameter name '{name}' is not a plain word", place=place)
    if entry.type == "choice" and not entry.choices:
        raise TqhwError(f"'{name}' is a choice without choices", place=place, lever="add `choices: [...]`")
    if entry.type in ("int", "number") and entry.range is None and not entry.choices:
        raise TqhwError(f"'{name}' has neither a range nor choices", place=place, lever="add `range: [low, high]`")
    parameter = Parameter(
        name=name,
        type=entry.type,
        default=entry.default,
        help=" ".join(entry.help.split()),
        unit=entry.unit,
        range=(entry.range[0], entry.range[1]) if entry.range else None,
        choices=tuple(entry.choices or ()),
        only_if=entry.only_if,
    )
    if entry.default is not None and not (entry.type in ("int", "number") and isinstance(entry.default, str)):
        parameter.typed(entry.default, place)
    return parameter


def _readable(error: ValidationError, document: yamlio.Map) -> TqhwError:
    """One complaint of pydantic as one of ours, with its line; a misspelt key goes before the one it leaves missing."""
    first = min(error.errors(), key=lambda e: e["type"] != "extra_forbidden")
    where: Any = document
    place = document.place()
    path = [part for part in first["loc"] if not str(part).startswith(("function-", "tuple"))]
    for part in path:
        if isinstance(where, yamlio.Map) and part in where:
            place, where = where.place(str(part)), where[str(part)]
        elif isinstance(where, list) and isinstance(part, int) and part < len(where):
            where = where[part]
            place = where.place() if isinstance(where, yamlio.Map) else place
    if first["type"] == "extra_forbidden":
        models: dict[str, type[BaseModel]] = {
            "parameters": _ParameterModel,
            "rules": _RuleModel,
            "digits": _DigitsModel,
        }
        model = models.get(str(path[0]), _FileModel) if len(path) > 1 else _FileModel
        return unknown("key", str(path[-1]), model.model_fields, place)
    name = ".".join(str(part) for part in path)
    return TqhwError(f"{name}: {first['msg']}", place=place)
