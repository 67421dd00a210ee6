"""Timeloop in a container: docker or podman, one run folder, nothing else of the machine."""

from tqhw.backends.container.backend import Container, ContainerOptions
from tqhw.backends.container.image import DEFAULT_IMAGE, build_image

__all__ = ["DEFAULT_IMAGE", "Container", "ContainerOptions", "build_image"]
