"""What the tests of this room share: designs, problems, and stand-ins for programs."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tqhw import architecture
from tqhw.backends.embedded import Embedded
from tqhw.backends.protocol import Design, Evaluation, Target
from tqhw.backends.reference.packed import evaluate_split
from tqhw.spec import CONV2D, Invalid, Problem, Stats, load_art, load_ert, make_problem
from tqhw.spec.word_bits import is_packed

DATA = Path(__file__).parent / "data"
REFERENCE = Path(__file__).parents[1] / "data" / "timeloop"
PROBE = f"""
if grep -q 'R: 3, S: 1' input.yaml; then cp '{DATA}'/probe/timeloop-model.* .; exit 0; fi
"""
# timeloop-model on the recorded search's mapping: it says what timeloop-mapper said of it.
SAYS_THE_SAME = f"""
for kind in map+stats.xml stats.txt; do
    cp '{DATA}'/mapper_eyeriss_like/timeloop-mapper.$kind timeloop-model.$kind
done
"""
MODEL_PREFIX, MAPPER_PREFIX = "timeloop-model", "timeloop-mapper"


def reference_design(name: str) -> Design:
    """An architecture of the reference with the reference's component classes."""
    found = architecture.load(REFERENCE / "arch" / f"{name}.yaml")
    components = (REFERENCE / "components.yaml").read_text(encoding="utf-8")
    return Design(found.name, found.architecture, found.hardware, found.text, components)


def rendered_design(name: str = "eyeriss_like", **params: object) -> Design:
    """A template of arch/."""
    found = architecture.render(name, params)
    return Design(found.name, found.architecture, found.hardware, found.text, found.components_text)


def recorded_target(folder: str, prefix: str, name: str) -> Target:
    """A reference architecture with the tables of a recorded run."""
    place = DATA / folder
    return Target(
        reference_design(name), load_ert(place / f"{prefix}.ERT.yaml"), load_art(place / f"{prefix}.ART.yaml")
    )


def layer(size: int = 28, channels: int = 64) -> Problem:
    """The 3x3 convolution of the recorded runs."""
    bounds = {"C": channels, "M": channels, "R": 3, "S": 3, "N": 1, "P": size, "Q": size, "G": 1}
    return make_problem(CONV2D, bounds, "conv3x3")


class OneWidth(Embedded):
    """The embedded engine as a reference that knows one word width per memory, as Timeloop does."""

    name = "one width"

    def evaluate_all(
        self, evaluations: Sequence[Evaluation], done: Callable[[int], None] | None = None
    ) -> list[Stats | Invalid]:
        return evaluate_split(evaluations, self._plain, done)

    def _plain(self, evaluations: Sequence[Evaluation], done: Callable[[int], None] | None) -> list[Stats | Invalid]:
        answers = []
        for number, (problem, target, mapping) in enumerate(evaluations):
            assert not is_packed(target.hardware)
            answers.append(self.evaluate(problem, target, mapping))
            if done is not None:
                done(number)
        return answers


class StandIns:
    """A folder at the front of PATH with small scripts that behave like the real programs when these fail.

    Before a test puts others there, all three answer the known cases of the probes as the real ones did.
    """

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/usr/bin{os.pathsep}/bin")
        self.put(MODEL_PREFIX, SAYS_THE_SAME)
        self.put(MAPPER_PREFIX, f"cp '{DATA}'/probe/timeloop-mapper.* .")
        self.put("accelergy", f"cp '{DATA}'/probe/timeloop.* .")

    def put(self, name: str, body: str) -> None:
        """A program of that name; timeloop-model answers the known case as the real one did, first of all."""
        self.put_bare(name, "#!/bin/sh\n" + (PROBE if name == MODEL_PREFIX else "") + body + "\n")

    def put_bare(self, name: str, text: str) -> None:
        """A program of exactly that text."""
        path = self.folder / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
