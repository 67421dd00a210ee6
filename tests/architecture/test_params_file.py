"""Mistakes in a params.yaml, each with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.architecture import folder
from tqhw.architecture import parameters_of, render
from tqhw.errors import TqhwError
from tqhw.spec import Digits


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "unit: bits, help: Weight",
            "unti: bits, help: Weight",
            r"params.yaml:3: .*unknown key 'unti' \(did you mean 'unit'",
        ),
        ("type: bool", "type: boolean", r"params.yaml:6: type: parameters.wide.type: Input should be 'int', 'number'"),
        ("rules:", "rule:", r"params.yaml:9: .*unknown key 'rule' \(did you mean 'rules'"),
        (
            "message: fetches too little",
            "massage: no",
            r"params.yaml:10: .*unknown key 'massage' \(did you mean 'message'",
        ),
        ("description: A buffer and a multiplier.\n", "", r"params.yaml:1: description: Field required"),
        ("range: [1, 32]", "range: [1]", r"params.yaml:4: range: .*at least 2 items"),
        (", range: [1, 32]", "", r"params.yaml:4: 'fetch_bits' has neither a range nor choices"),
        (", choices: [pack, ideal]", "", r"params.yaml:8: 'packing' is a choice without choices"),
        ("default: 128", "default: 64", r"params.yaml:7: wide_bits: 64 is out of range \(allowed: 65 to 512 bits\)"),
        (
            "default: weight_bits",
            "default: wieght_bits",
            r"params.yaml: fetch_bits: unknown name .* 'wieght_bits' \(did you",
        ),
        ("default: weight_bits", "default: 8 * weight_bits", r"fetch_bits: 64 is out of range"),
        ("only_if: wide", "only_if: wider", r"unknown name in the expression 'wider'"),
        ("  weight_bits:", "  weight-bits:", r"params.yaml:3: the parameter name 'weight-bits' is not a plain word"),
        ("MAC & spad: [mac]", "MAC: [mac]", r"params.yaml:12: unknown group 'MAC' \(.*known: DRAM, GLB, MAC & spad\)"),
        (
            "MAC & spad: [mac]",
            "GLB: [mac, memory]",
            r"params.yaml:\d+: GLB: 'memory' is in the groups 'DRAM' and 'GLB'",
        ),
        ("description", "- description", r"params.yaml:2.*not valid YAML"),
        ("groups:", "digits: {dimension: B}\ngroups:", r"params.yaml:11: digits: digits.count: Field required"),
        ("groups:", "digits: {size: B}\ngroups:", r"params.yaml:11: .*unknown key 'size' .*known: dimension, count"),
        (folder.PARAMS, "", r"params.yaml: the file is empty"),
        (folder.PARAMS, "[1, 2]", r"params.yaml: params.yaml must be a mapping"),
    ],
)
def test_a_mistake_is_named_with_its_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in folder.PARAMS
    broken = folder.make(tmp_path, params=folder.PARAMS.replace(old, new))
    with pytest.raises(TqhwError, match=message):
        parameters_of(broken).complete({"wide": True, "wide_bits": 100}, "tiny")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "word_bits: {Outputs: weight_bits - 8}\n",
            r"params.yaml: word_bits: Outputs: 'weight_bits - 8' is 0, and must",
        ),
        ("word_bits: {Outputs: pusm_bits}\n", r"word_bits: Outputs: unknown name .* 'pusm_bits'"),
        (
            "digits: {dimension: B, count: weight_bits / 3}\n",
            r"digits: count: 'weight_bits / 3' is 2.6.*, and must be a",
        ),
    ],
)
def test_a_number_that_is_none_is_named(tmp_path: Path, more: str, message: str) -> None:
    with pytest.raises(TqhwError, match=message):
        render(folder.make(tmp_path, params=folder.PARAMS + more))


def test_words_and_digits_follow_the_parameters(tmp_path: Path) -> None:
    more = "word_bits: {Outputs: 3 * weight_bits, Outputs@memory: 8}\ndigits: {dimension: B, count: weight_bits}\n"
    found = render(folder.make(tmp_path, params=folder.PARAMS + more), {"weight_bits": 2})
    assert found.word_bits == {"Outputs": 6, "Outputs@memory": 8}
    assert found.digits == Digits("B", 2)
