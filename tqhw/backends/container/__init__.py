"""Timeloop in a container: docker or podman, one run folder, nothing else of the machine."""

from tqhw.backends.container.backend import ContainerBackend
from tqhw.backends.container.image import build_image

__all__ = ["ContainerBackend", "build_image"]
