"""docs/architecture.md against what it documents: the parameter tables and the example that it walks through."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tqhw.architecture import available, parameters_of, render

TEXT = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()


@pytest.mark.parametrize("name", available())
def test_the_parameter_tables_are_those_of_params_yaml(name: str) -> None:
    parameters = parameters_of(name)
    assert parameters.table() in TEXT
    assert " ".join(parameters.description.split()) in " ".join(TEXT.split())


def test_the_walked_through_accelerator_renders(tmp_path: Path) -> None:
    blocks = dict(re.findall(r"```yaml\n# (\S+)\n(.*?)```", TEXT, re.DOTALL))
    assert set(blocks) == {"params.yaml", "arch.yaml.j2"}
    for name, text in blocks.items():
        (tmp_path / name).write_text(text)
    rendered = render(tmp_path, {"weight_bits": "3"})
    assert rendered.hardware.level_names == ("inter_lane_spatial", "buffer", "DRAM_activations", "DRAM_weights")
    assert rendered.hardware.levels[-1].block_size == 21
