"""Timeloop in a container: docker or podman, one run folder, nothing else of the machine."""

from tqhw.backends.container.backend import Container
from tqhw.backends.container.image import build_image

__all__ = ["Container", "build_image"]
