"""Attributes that nothing reads are told, with the name that was meant."""

import pytest

from tqhw.energy import parse_components, unread
from tqhw.errors import TqhwError
from tqhw.spec import Architecture, parse_architecture, yamlio

TEXT = """\
architecture:
  nodes:
  - !Container
    name: system
    attributes: {technology: "45nm", global_cycle_seconds: 1e-9, lanes: 4}
  - !Component
    name: DRAM
    class: DRAM
    attributes: {type: LPDDR4, width: 64, datawidth: 8}
  - !Component
    name: buffer
    class: storage
    subclass: sram_buffer
    attributes: {rows: 1024, row_bits: 64, width: 64, depth: rows, datawidth: 8, banks: 1}
  - !Container
    name: PE
    spatial: {meshX: lanes}
  - !Component
    name: mac
    class: intmac
    attributes: {width: 8}
"""
OWN = """\
components:
  classes:
  - name: intmac
    attributes: {technology: "must_specify", width: 8}
    subcomponents:
    - {name: adder, class: aladdin_adder, attributes: {width: width + guard_bits}}
    actions: [{name: compute, subcomponents: [{name: adder, actions: [{name: add}]}]}]
"""


def load(old: str = "", new: str = "") -> Architecture:
    assert old in TEXT
    return parse_architecture(yamlio.parse(TEXT.replace(old, new), "a.yaml"), "a.yaml")


def test_what_is_read_is_no_news() -> None:
    assert unread(load()) == ()
    assert (
        unread(load("width: 64, depth", "metadata_storage_width: 4, compression_supported: true, width: 64, depth"))
        == ()
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "banks: 1",
            "banks: 1, read_bandwith: 2",
            "a.yaml:14: read_bandwith: buffer: nothing reads the attribute 'read_bandwith' (did you mean 'read_band",
        ),
        (
            "banks: 1",
            "bank: 1",
            "a.yaml:14: bank: buffer: nothing reads the attribute 'bank' (did you mean 'banks'?)",
        ),
        (
            "lanes: 4",
            "lanes: 4, voltage: 1",
            "a.yaml:5: voltage: system: nothing reads the attribute 'voltage' (remove it)",
        ),
        ("{width: 8}", "{width: 8, exponent: 4}", "a.yaml:21: exponent: mac: nothing reads the attribute 'exponent'"),
    ],
)
def test_what_nothing_reads_is_told(old: str, new: str, told: str) -> None:
    (warning,) = unread(load(old, new))
    assert warning.startswith(told)
    with pytest.raises(TqhwError) as refused:
        unread(load(old, new), strict=True)
    assert str(refused.value) == warning


def test_a_class_of_ones_own_reads_what_its_expressions_name() -> None:
    own = parse_components(yamlio.parse(OWN, "c.yaml"), "c.yaml")
    guarded = load("{width: 8}", "{width: 8, guard_bits: 2, gard_bits: 3}")
    assert len(unread(guarded)) == 2
    (warning,) = unread(guarded, own)
    assert "mac: nothing reads the attribute 'gard_bits' (did you mean 'guard_bits'?)" in warning


def test_of_a_class_that_nobody_knows_only_misspelt_names_are_told() -> None:
    foreign = load(
        "class: intmac\n    attributes: {width: 8}", "class: mac\n    attributes: {n_units: 8, technlogy: 1}"
    )
    (warning,) = unread(foreign)
    assert "'technlogy' (did you mean 'technology'?)" in warning
