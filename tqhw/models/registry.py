"""From a name to a model: the packaged networks, or any factory written ``package.module:factory``."""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import sys
import traceback
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace, UnionType
from typing import Union

from torch import nn

from tqhw.errors import TqhwError, unknown
from tqhw.models.mobilenet import mobilenet_v2
from tqhw.models.preact import preact_resnet20
from tqhw.models.resnet import resnet18, resnet50
from tqhw.models.resnet20 import resnet8, resnet20

Factory = Callable[..., nn.Module]

MODELS: dict[str, Factory] = {
    "resnet20": resnet20,
    "resnet8": resnet8,
    "preact_resnet20": preact_resnet20,
    "resnet18": resnet18,
    "resnet50": resnet50,
    "mobilenet_v2": mobilenet_v2,
}

IMAGENET_INPUT = (1, 3, 224, 224)
_OWN = f"{Path(__file__).parents[1]}{os.sep}"
_INPUTS = dict.fromkeys(("resnet20", "resnet8", "preact_resnet20"), (1, 3, 32, 32))


def default_input(name: str) -> tuple[int, ...]:
    """The input shape that the network was published with; ``1,3,224,224`` for everything but ResNet-20."""
    return _INPUTS.get(name, IMAGENET_INPUT)


def build(name: str, /, **options: object) -> nn.Module:
    """Builds ``resnet20``, ``resnet18``, ``resnet50`` or ``mobilenet_v2``, or calls a factory.

    ``name`` with a colon is ``package.module:factory``; the module may stand in the current directory.
    ``options`` are passed on as keyword arguments; those of the packaged networks (``num_classes``,
    ``in_channels``, and ``expansion`` of ResNet-20) are whole numbers from 1 up.

    Whoever gives a name here asks for its code to be run; of a name that a file holds, see :func:`check_declared`.

    Raises :class:`TqhwError` for a name or option that is not known, a module that cannot be imported, and a
    factory that raises or returns something else than an ``nn.Module``.
    """
    if ":" in name:
        with _importable_from_here():
            return _call(_imported(name), name, options)
    if name not in MODELS:
        error = unknown("model", name, MODELS)
        own = _for_a_file(name, "FACTORY") or "package.module:factory"
        raise TqhwError(error.message, lever=f"{error.lever}, or {own.removeprefix('write ')}")
    for option, value in options.items():
        _check_option(MODELS[name], name, option, value)
    return _call(MODELS[name], name, options)


def check_declared(name: str) -> None:
    """Refuses a factory that does not declare to give a model, without calling it; its module is imported.

    A file that names a model may come from anybody, and ``os:system`` is a function as well. A class of
    ``nn.Module`` declares it, and so does a function whose return annotation is one.
    """
    if ":" not in name:
        return
    with _importable_from_here():
        factory = _imported(name)
    if not _gives_module(factory):
        raise TqhwError(
            f"'{name.rpartition(':')[2]}' does not declare that it gives a torch.nn.Module, so a file cannot have it "
            "called",
            place=f"model {name}",
            lever="annotate it, `-> nn.Module`; or, if you know what it does, say so with --trust or trust=True",
        )


def _gives_module(factory: object) -> bool:
    """Whether it is a class of modules, or is annotated to return one (or one of several)."""
    if isinstance(factory, type):
        return issubclass(factory, nn.Module)
    if isinstance(factory, functools.partial):
        return _gives_module(factory.func)
    function = inspect.unwrap(factory) if callable(factory) else factory
    annotation = getattr(function, "__annotations__", {}).get("return")
    if isinstance(annotation, str):
        holder = SimpleNamespace(__annotations__={"return": annotation})
        try:
            annotation = typing.get_type_hints(holder, getattr(function, "__globals__", {}))["return"]
        except Exception:  # noqa: BLE001 - whatever an annotation of a stranger raises, it declares nothing
            return False
    parts = typing.get_args(annotation) if typing.get_origin(annotation) in (Union, UnionType) else (annotation,)
    return all(isinstance(part, type) and issubclass(part, nn.Module) for part in parts)


def _check_option(factory: Factory, name: str, option: str, value: object) -> None:
    known = list(inspect.signature(factory).parameters)
    if option not in known:
        raise unknown(f"option of model {name}", option, known)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise TqhwError(f"{option} is {value!r}, but must be a whole number from 1 up", place=f"model {name}")


def _call(factory: Factory, name: str, options: dict[str, object]) -> nn.Module:
    try:
        model: object = factory(**options)
    except TqhwError:
        raise
    except Exception as error:
        raise TqhwError(f"the factory raised {told(error)}", place=f"model {name}") from error
    if not isinstance(model, nn.Module):
        raise TqhwError(
            f"the factory returned {_kind(model)}, not a torch.nn.Module",
            place=f"model {name}",
            lever="return the model itself, built and ready to run",
        )
    return model


def _imported(name: str) -> Factory:
    module_name, _, attribute = name.rpartition(":")
    if not attribute or not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        lever = _for_a_file(module_name, attribute or "FACTORY")
        raise TqhwError("is not of the form package.module:factory", place=f"model {name}", lever=lever)
    module = _module(module_name, name)
    try:
        factory = getattr(module, attribute)
    except AttributeError:
        callables = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise unknown("factory", attribute, callables, place=f"model {name}") from None
    except Exception as error:  # of a module that imports its parts when they are asked for
        raise TqhwError(f"'{attribute}' of '{module_name}' raised {told(error)}", place=f"model {name}") from error
    if not callable(factory):
        raise TqhwError(
            f"'{attribute}' is {_kind(factory)}, which cannot be called",
            place=f"model {name}",
            lever="name a function or class without required arguments that gives an nn.Module",
        )
    return factory  # type: ignore[no-any-return]


def _module(module_name: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        # The module itself, or a package above it, is missing; a missing import inside it is its own failure.
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise TqhwError(
                f"there is no module '{module_name}'",
                place=f"model {name}",
                lever=_for_a_file(module_name, name.rpartition(":")[2])
                or "run from the folder that holds it, install it, or set PYTHONPATH",
            ) from error
        raise TqhwError(f"importing '{module_name}' raised {told(error)}", place=f"model {name}") from error
    except Exception as error:
        raise TqhwError(f"importing '{module_name}' raised {told(error)}", place=f"model {name}") from error


def _for_a_file(path: str, attribute: str) -> str | None:
    """What to write for a module that is given as a file, ``nets/small.py``; None where it is no file's path."""
    file = Path(path)
    if file.suffix != ".py" and len(file.parts) < 2:
        return None
    near = Path(os.path.relpath(file))
    if ".." in near.parts:
        return f"write {file.stem}:{attribute}, from the folder that holds it"
    return f"write {'.'.join(near.with_suffix('').parts)}:{attribute}"


@contextmanager
def _importable_from_here() -> Iterator[None]:
    """Puts the current directory on the import path, which an installed console script does not have."""
    here = str(Path.cwd())
    if here in sys.path:
        yield
        return
    sys.path.insert(0, here)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path.remove(here)


def told(error: Exception) -> str:
    """What was raised, its first line, and the last line of the user's own code on the way there."""
    first = str(error).partition("\n")[0]
    kind = type(error).__name__
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if f.filename[0] != "<" and not f.filename.startswith(_OWN)]
    ours = [f for f in ours if "site-packages" not in f.filename]
    what = f"{kind}: {first}" if first else kind
    return f"{what}, at {ours[-1].filename}:{ours[-1].lineno}" if ours else what


def _kind(value: object) -> str:
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
