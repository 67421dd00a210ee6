"""Energies and areas: an architecture's ERT and ART from packaged Accelergy tables, and the quantizer's energy.

tables(load_architecture("arch.yaml")).ert.energy_pj("mac", "compute")
"""

from tqhw.energy.attributes import unread
from tqhw.energy.build import without_hidden_primitive
from tqhw.energy.components import (
    Components,
    load_components,
    own_components,
    packaged_components,
    packaged_components_text,
    parse_components,
)
from tqhw.energy.neurosim import ADDERS
from tqhw.energy.quantizer import (
    QUANTIZER_ESTIMATES,
    TRUNCATION_ESTIMATES,
    fp32_energy_pj,
    quantizer_energy_pj,
    quantizer_range_pj,
    quantizer_steps,
    truncation_energy_pj,
)
from tqhw.energy.query import Note
from tqhw.energy.spads import DEFAULT_SPAD_MODEL, SPAD_CLASSES, spad_class
from tqhw.energy.sram import sram_macro
from tqhw.energy.sram_tables import Macro
from tqhw.energy.tables import Costs, EnergyTables, component_costs, tables

__all__ = [
    "ADDERS",
    "DEFAULT_SPAD_MODEL",
    "QUANTIZER_ESTIMATES",
    "SPAD_CLASSES",
    "TRUNCATION_ESTIMATES",
    "Components",
    "Costs",
    "EnergyTables",
    "Macro",
    "Note",
    "component_costs",
    "fp32_energy_pj",
    "load_components",
    "own_components",
    "packaged_components",
    "packaged_components_text",
    "parse_components",
    "quantizer_energy_pj",
    "quantizer_range_pj",
    "quantizer_steps",
    "spad_class",
    "sram_macro",
    "tables",
    "truncation_energy_pj",
    "unread",
    "without_hidden_primitive",
]
