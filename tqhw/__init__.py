"""tqhw: what a quantized network costs on an accelerator, and what switching its precision costs.

The names below are what a user of Python needs; nothing heavy is imported before one of them is called. (The module
``tqhw.run`` is the main job for ``python -m tqhw.run``; the verb is :func:`run_experiment`.)
"""

from typing import TYPE_CHECKING, Any

from tqhw.version import __version__

if TYPE_CHECKING:
    from tqhw.api import (
        convert,
        evaluate,
        export,
        extract,
        load_experiment,
        quantize,
        read_results,
        run_experiment,
        search,
        target,
        train_experiment,
    )
    from tqhw.errors import TqhwError

__all__ = [
    "TqhwError",
    "__version__",
    "convert",
    "evaluate",
    "export",
    "extract",
    "load_experiment",
    "quantize",
    "read_results",
    "run_experiment",
    "search",
    "target",
    "train_experiment",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tqhw' has no attribute '{name}'")
    from tqhw import api, errors

    return errors.TqhwError if name == "TqhwError" else getattr(api, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
