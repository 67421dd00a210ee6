"""tqhw: what a quantized network costs on an accelerator, and what switching its precision costs."""

__version__ = "0.1.0"
