"""tqhw: what a quantized network costs on an accelerator, and what switching its precision costs."""

from tqhw.version import __version__

__all__ = ["__version__"]
