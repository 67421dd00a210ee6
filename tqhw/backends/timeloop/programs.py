"""Which programs there are, and whether they are of the make that we read."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from tqhw.backends.timeloop.identity import accelergy_identity, program_digest
from tqhw.errors import TqhwError

ACCELERGY_FILES = "accelergy's files"
PROGRAMS = ("timeloop-model", "timeloop-mapper", "accelergy")
SUPPORTED = "Timeloop with v0.4 inputs (NVlabs/timeloop, tested at 4cf6d4c) and Accelergy 0.4 (tested at 6911d15)"
INSTALL = "install Timeloop and Accelergy and put them on PATH, or take --backend container"


@dataclass(frozen=True)
class Programs:
    """Where the three programs are."""

    model: Path
    mapper: Path
    accelergy: Path

    def versions(self) -> dict[str, str]:
        """What identifies them: the digests of what Timeloop's programs and Accelergy consist of, and its version."""
        found = {path.name: version_of(path) for path in (self.model, self.mapper)}
        version, digest = accelergy_identity(self.accelergy)
        return {**found, "accelergy": version, ACCELERGY_FILES: f"sha256 {digest}"}


def find_programs() -> Programs:
    """The programs on PATH. Raises TqhwError that names the missing ones."""
    found = {name: shutil.which(name) for name in PROGRAMS}
    if missing := [name for name, path in found.items() if path is None]:
        raise TqhwError(f"{', '.join(missing)} not found on PATH", place="backend timeloop", lever=INSTALL)
    return Programs(*(Path(str(found[name])) for name in PROGRAMS))


def version_of(program: Path) -> str:
    """What identifies one of :data:`PROGRAMS` to a reader."""
    return accelergy_identity(program)[0] if program.name == "accelergy" else f"sha256 {_digest(program)}"


def _digest(program: Path) -> str:
    try:
        return program_digest(program)
    except OSError as error:
        raise TqhwError(f"cannot be read: {error.strerror}", place=str(error.filename), lever=INSTALL) from None


def check_accelergy(version: str) -> None:
    """Raises TqhwError for a version of Accelergy that is known to be another one."""
    if version != "unknown" and not version.startswith("0.4"):
        raise TqhwError(f"Accelergy {version} is not supported", place="accelergy", lever=f"supported: {SUPPORTED}")
