"""What the three costings of a scratchpad say of narrow weights: ``python benchmarks/spad_models.py``.

Prints, for the weight scratchpad of eyeriss_like (192 rows of 2 weights) and for its processing element with one
multiply-accumulate, pJ by weight bits and the share that 2 bits save of 8.
"""

from tqhw.energy import SPAD_CLASSES, component_costs, spad_class

COMMON = {"technology": "45nm", "global_cycle_seconds": 1e-9}
BITS = (1, 2, 4, 6, 8)


def scratchpad_pj(spad_model: str, bits: int, action: str) -> float:
    """pJ of one access to a row of two weights."""
    attributes = {"rows": 192, "row_bits": 2 * bits, **COMMON}
    return component_costs(spad_class(spad_model), attributes).energies_pj[action]


def mac_pj(bits: int) -> float:
    """pJ of one multiply-accumulate with 8-bit activations and 16-bit partial sums."""
    attributes = {"a_bits": bits, "b_bits": 8, "acc_bits": 16, **COMMON}
    return component_costs("int_mac", attributes, ("compute",)).energies_pj["compute"]


def line(label: str, values: list[float], saving: float) -> str:
    return f"{label:<24}" + "".join(f"{value:>9.3f}" for value in values) + f"{saving:>11.0%}"


def main() -> None:
    print(f"{'pJ at weight bits':<24}" + "".join(f"{bits:>9}" for bits in BITS) + f"{'8 to 2':>11}")
    for action in ("read", "write"):
        for model in SPAD_CLASSES:
            values = [scratchpad_pj(model, bits, action) for bits in BITS]
            print(line(f"{model} {action}", values, 1 - values[1] / values[-1]))
    values = [mac_pj(bits) for bits in BITS]
    print(line("int_mac compute", values, 1 - values[1] / values[-1]))


if __name__ == "__main__":
    main()
