"""Reading statistics: against outputs of real runs, and against damaged copies of them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tests.backends.cases import DATA, MAPPER_PREFIX, MODEL_PREFIX, layer, recorded_target
from tqhw import engine
from tqhw.backends.protocol import Target
from tqhw.backends.timeloop.statistics import read_statistics
from tqhw.errors import TqhwError
from tqhw.spec import ERT, Stats, load_mapping

FOLDER = DATA / "mapper_eyeriss_like"
XML, TEXT = f"{MAPPER_PREFIX}.map+stats.xml", f"{MAPPER_PREFIX}.stats.txt"


@pytest.fixture
def target() -> Target:
    return recorded_target("mapper_eyeriss_like", MAPPER_PREFIX, "eyeriss_like")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in (XML, TEXT):
        shutil.copy(FOLDER / name, tmp_path / name)
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_a_real_search_reads_as_the_engine_computes_it(target: Target) -> None:
    stats = read_statistics(FOLDER, MAPPER_PREFIX, layer(), target)
    mapping = load_mapping(FOLDER / f"{MAPPER_PREFIX}.map.yaml")
    ours = engine.evaluate(layer(), target.hardware, target.ert, mapping)
    assert isinstance(ours, Stats)
    assert stats.energy_pj == pytest.approx(ours.energy_pj, rel=1e-12)
    assert replace(stats, energy_pj=0.0).levels.keys() == ours.levels.keys()
    for name, level in stats.levels.items():
        for space, found in level.dataspaces.items():
            assert replace(found, energy_pj=0) == replace(ours.levels[name].dataspaces[space], energy_pj=0)


def test_a_real_evaluation_reads_as_printed() -> None:
    target = recorded_target("model_eyeriss_like_free", MODEL_PREFIX, "eyeriss_like_free")
    stats = read_statistics(DATA / "model_eyeriss_like_free", MODEL_PREFIX, layer(), target)
    assert (stats.cycles, stats.computes) == (3612672, 28901376)
    assert stats.energy_pj / stats.computes == pytest.approx(10.61831, abs=5e-6)
    outputs = stats.levels["psum_spad"].dataspaces["Outputs"]
    assert (outputs.reads, outputs.fills, outputs.updates) == (3600128, 1793792, 3612672)
    assert stats.levels["psum_spad"].leakage_pj == pytest.approx(1835.67, abs=0.005)
    assert stats.levels["DRAM"].dataspaces["Outputs"].energy_pj == 73859072.0


def test_no_file(target: Target, tmp_path: Path) -> None:
    with pytest.raises(TqhwError, match="no statistics were written: No such file"):
        read_statistics(tmp_path, MAPPER_PREFIX, layer(), target)


@pytest.mark.parametrize("share", [0.999, 0.5, 0.1, 0.001])
def test_truncated_archive(target: Target, copy: Path, share: float) -> None:
    data = (copy / XML).read_bytes()
    (copy / XML).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(TqhwError, match=r"truncated or damaged.*disk full"):
        read_statistics(copy, MAPPER_PREFIX, layer(), target)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.0])
def test_truncated_text(target: Target, copy: Path, share: float) -> None:
    data = (copy / TEXT).read_bytes()
    (copy / TEXT).write_bytes(data[: int(len(data) * share)])
    with pytest.raises(TqhwError, match=r"printed statistics (have|lack)"):
        read_statistics(copy, MAPPER_PREFIX, layer(), target)


def test_archive_of_other_levels(copy: Path) -> None:
    other = recorded_target("mapper_eyeriss_like", MAPPER_PREFIX, "two_level")
    with pytest.raises(TqhwError, match=r"statistics are of other levels: mac, psum_spad.*another run's"):
        read_statistics(copy, MAPPER_PREFIX, layer(), other)


def test_archive_of_another_problem(target: Target, copy: Path) -> None:
    with pytest.raises(TqhwError, match="28901376 computes, not 7225344"):
        read_statistics(copy, MAPPER_PREFIX, layer(14), target)


def test_negative_counts_that_wrapped_around_are_refused(target: Target, copy: Path) -> None:
    edit(copy / XML, "<item>3600128</item>", "<item>18446744073709551000</item>")
    with pytest.raises(TqhwError, match="'reads' is '18446744073709551000', which cannot be"):
        read_statistics(copy, MAPPER_PREFIX, layer(), target)


def test_energies_that_are_not_counts_times_the_ert_are_refused(target: Target, copy: Path) -> None:
    edit(copy / XML, "1.32757552811519988e+06", "1.32757554811519988e+06")
    with pytest.raises(TqhwError, match=r"psum_spad, Outputs: counts times the ERT give an energy per instance of"):
        read_statistics(copy, MAPPER_PREFIX, layer(), target)


def test_a_run_with_another_ert_is_refused(target: Target, copy: Path) -> None:
    energies = {name: dict(actions) for name, actions in target.ert.energies.items()}
    energies["mac"]["compute"] *= 1.0001
    other = replace(target, ert=ERT(energies))
    with pytest.raises(TqhwError, match=r"mac: counts times the ERT.*made with another ERT"):
        read_statistics(copy, MAPPER_PREFIX, layer(), other)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("(per-instance)              : 3600128", "(per-instance)              : 3600129", "Outputs Scalar reads"),
        ("Cycles: 3612672", "Cycles: 3612673", "Cycles"),
        ("Energy: 306.88 uJ", "Energy: 306.90 uJ", "Energy"),
        ("= 10618.31", "= 10618.40", "Total"),
        (" 1835.67 pJ", " 1835.77 pJ", "Leakage energy"),
    ],
)
def test_text_that_contradicts_the_archive_is_refused(
    target: Target, copy: Path, old: str, new: str, message: str
) -> None:
    edit(copy / TEXT, old, new)
    with pytest.raises(TqhwError, match=rf"{message}.*the printed statistics"):
        read_statistics(copy, MAPPER_PREFIX, layer(), target)


def test_an_archive_without_levels(target: Target, copy: Path) -> None:
    (copy / XML).write_text("<boost_serialization></boost_serialization>", encoding="utf-8")
    with pytest.raises(TqhwError, match=r"no statistics of levels.*another Timeloop version"):
        read_statistics(copy, MAPPER_PREFIX, layer(), target)


def test_an_archive_far_too_large(target: Target, copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tqhw.backends.timeloop.xml.MAX_BYTES", 1000)
    with pytest.raises(TqhwError, match=r"\d+ bytes are far more than statistics"):
        read_statistics(copy, MAPPER_PREFIX, layer(), target)
