"""A workload as files: one Timeloop problem per layer, and a summary that says what they stand for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from tqhw.errors import TqhwError
from tqhw.spec import Problem, dump_problem
from tqhw.spec.yamlio import write_text
from tqhw.workload.layers import Layer, Workload

SUMMARY = "summary.json"
# The first words of every problem file written here: what tells our files from those of others.
_MARK = "# Written by tqhw workload"
_ELSEWHERE = "choose another place"


def write(workload: Workload, folder: str | Path) -> Path:
    """Writes ``NN_<first name>.yaml`` for every layer in order, then ``summary.json``; returns the folder.

    The summary has ``model``, ``input``, ``macs``, ``parameters``, ``weights``, ``norm_channels``,
    ``norm_parameters``, ``other_parameters``, ``folded`` (where there is something to say, ``folded_macs``,
    ``skipped`` and ``notes``), and ``layers``: per file its ``names``, ``count``, ``macs``
    of one execution, and ``weight_count``, ``stored_weights``, ``weight_bits``, ``fixed_bits`` as in
    :class:`Layer`; where another tool quantized it, ``input_bits`` and ``bits_from`` too. Problem files of an earlier
    run that this one does not write are removed; other files in the folder stay. Raises :class:`TqhwError` where the
    folder cannot be written.
    """
    target = Path(folder)
    try:
        occupied = target.exists() and not target.is_dir()
    except OSError as error:
        raise TqhwError(f"cannot be written: {error.strerror}", place=str(target), lever=_ELSEWHERE) from None
    if occupied:
        raise TqhwError("is not a folder", place=str(target), lever=_ELSEWHERE)
    files = file_names(workload.layers)
    for layer, file in zip(workload.layers, files, strict=True):
        write_text(target / file, _problem_text(workload, layer))
    write_text(target / SUMMARY, json.dumps(_summary(workload, files), indent=2) + "\n")
    _remove_stale(target, set(files))
    return target


def file_names(layers: tuple[Layer, ...]) -> list[str]:
    """The names of the layers' problem files, in order."""
    digits = max(2, len(str(len(layers))))
    return [
        f"{index:0{digits}d}_{re.sub('[^A-Za-z0-9._-]', '_', layer.names[0])[:80]}.yaml"
        for index, layer in enumerate(layers, start=1)
    ]


def _problem_text(workload: Workload, layer: Layer) -> str:
    kind = "weights" if layer.has_weights else "no weights: the Weights data space is an activation"
    return (
        f"{_MARK}: {_plain(workload.model)}, input {workload.input_text}\n"
        f"# {layer.count} x {_label(layer.problem)}; {kind}\n"
        f"# {', '.join(map(_plain, dict.fromkeys(layer.names)))}\n"
        f"{dump_problem(layer.problem)}"
    )


def _plain(text: str) -> str:
    """``text`` fit for a comment: on one line, printable."""
    return re.sub("[^ -~]", "?", text)


def _label(problem: Problem) -> str:
    """A convolution or product in words, in the order that PyTorch gives: height before width."""
    b, c = problem.bounds, problem.coefficients
    axes, kernel, output = ("DHW", "TSR", "FQP") if "T" in b else ("HW", "SR", "QP")
    if all(b[d] == 1 for d in (*kernel, *output)):
        batch = f"{b['G']} x " if b["G"] > 1 else ""
        return f"product {batch}[{b['N']}, {b['C']}] x [{b['C']}, {b['M']}]"
    text = f"convolution {_by(b[d] for d in kernel)}, {b['C'] * b['G']} -> {b['M'] * b['G']} channels"
    for word in ("stride", "dilation"):
        steps = [c[f"{axis}{word}"] for axis in axes]
        if set(steps) != {1}:
            text += f", {word} {_by(steps)}"
    if b["G"] > 1:
        text += f", {b['G']} groups"
    return f"{text}, output {_by(b[d] for d in output)}"


def _by(sizes: Iterable[int]) -> str:
    return "x".join(map(str, sizes))


def _summary(workload: Workload, files: list[str]) -> dict[str, object]:
    return {
        "model": workload.model,
        "input": list(workload.inputs or workload.input_shape),
        "macs": workload.macs,
        "parameters": workload.parameters,
        "weights": workload.weights,
        "norm_channels": workload.norm_channels,
        "norm_parameters": workload.norm_parameters,
        "other_parameters": workload.other_parameters,
        "folded": list(workload.folded),
        **_told(workload),
        "layers": [
            {
                "file": file,
                "names": list(layer.names),
                "count": layer.count,
                "macs": layer.macs,
                "weight_count": layer.weight_count,
                "stored_weights": layer.stored_weights,
                "weight_bits": layer.weight_bits,
                "fixed_bits": layer.fixed_bits,
                **_foreign_bits(layer),
            }
            for layer, file in zip(workload.layers, files, strict=True)
        ],
    }


def _foreign_bits(layer: Layer) -> dict[str, object]:
    """What another tool's model says of the layer, beside the weights' precision."""
    return {} if layer.bits_from is None else {"input_bits": layer.input_bits, "bits_from": layer.bits_from}


def _told(workload: Workload) -> dict[str, object]:
    """What only some workloads have to say: what is not among the layers, and what was assumed."""
    found: dict[str, object] = {}
    if workload.folded_macs:
        found["folded_macs"] = list(workload.folded_macs)
    if workload.skipped:
        found["skipped"] = [{"name": name, "macs": macs or None} for name, macs in workload.skipped]
    if workload.notes:
        found["notes"] = list(workload.notes)
    if workload.cache is not None:
        found["kv_cache_words"] = asdict(workload.cache)
    return found


def _remove_stale(folder: Path, written: set[str]) -> None:
    for path in sorted(folder.glob("*.yaml")):
        if path.name in written or not path.is_file():
            continue
        try:
            with path.open(encoding="utf-8", errors="replace") as stream:
                ours = stream.readline().startswith(_MARK)
            if ours:
                path.unlink()
        except OSError as error:
            raise TqhwError(
                f"a file of an earlier run cannot be removed: {error.strerror}",
                place=str(path),
                lever="remove it, or write to an empty folder",
            ) from None
