"""What is read out of the folder of a run."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.report.sample import with_hardware
from tqhw.errors import TqhwError
from tqhw.report import drawings
from tqhw.report.drawings import hardware_of, rendering
from tqhw.spec import Problem, load_problem

THERE = "hardware/sram/fetch8_weights8"


@pytest.mark.parametrize("words", [None, "word_bits: {Weights: 4}\npacking: pack\n"])
def test_the_architecture_alone_is_that_of_the_rendering_and_takes_one_problem(
    words: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_hardware(tmp_path)
    first, second = "01_layer1.0.conv1.yaml", "02_more.yaml"
    for place in (tmp_path / "problems", tmp_path / THERE / "mappings"):
        shutil.copy(place / first, place / second)
    if words is not None:
        (tmp_path / THERE / drawings.WORDS).write_text(words)
    whole, read = rendering(tmp_path / THERE), []

    def counted(path: Path) -> Problem:
        read.append(path.name)
        return load_problem(path)

    monkeypatch.setattr(drawings, "load_problem", counted)
    assert hardware_of(tmp_path / THERE) == whole.hardware
    assert read == [first]
    assert [file.name for file in whole.problems] == [first, second]
    packed = [level.name for level in whole.hardware.levels if level.packing is not None]
    assert bool(packed) == (words is not None)


def test_a_mapping_without_its_problem_is_told(tmp_path: Path) -> None:
    with_hardware(tmp_path)
    (tmp_path / "problems/01_layer1.0.conv1.yaml").unlink()
    for read in (rendering, hardware_of):
        with pytest.raises(TqhwError, match=r"01_layer1.0.conv1.yaml: its problem is not in the run's folder"):
            read(tmp_path / THERE)


def test_an_architecture_without_mappings_is_read(tmp_path: Path) -> None:
    with_hardware(tmp_path)
    shutil.rmtree(tmp_path / THERE / "mappings")
    assert hardware_of(tmp_path / THERE) == rendering(tmp_path / THERE).hardware
