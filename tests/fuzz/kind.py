"""A kind of input: its seeds, its mutators, its reader; and what became of an input."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz import mutate
from tqhw.errors import TqhwError
from tqhw.spec import yamlio

Files = Mapping[str, bytes]
TAKEN, REFUSED, RAW, DEAD, SLOW = "taken", "refused", "raw exception", "dead process", "too slow"
LONGEST_MESSAGE = 4000


@dataclass(frozen=True)
class Form:
    """How a file is taken apart into a tree and put together again: its structure is mutated, not its bytes."""

    read: Callable[[bytes], Any]
    write: Callable[[Any], bytes]
    yaml: bool = False


JSON = Form(json.loads, mutate.written)
YAML = Form(lambda content: yamlio.parse(content.decode()), lambda tree: mutate.written(tree, yaml=True), yaml=True)
LINES = Form(
    lambda content: [json.loads(line) for line in content.splitlines() if line.strip()],
    lambda tree: b"".join(mutate.written(line) + b"\n" for line in (tree if isinstance(tree, list) else [tree])),
)


@dataclass(frozen=True)
class Kind:
    """``read`` does with a folder all that the commands do with such files. ``forms``: by the ending of a name."""

    name: str
    seeds: Callable[[], list[dict[str, bytes]]]
    read: Callable[[Path], object]
    forms: Mapping[str, Form] = field(default_factory=lambda: {".yaml": YAML, ".json": JSON, ".jsonl": LINES})
    targets: tuple[str, ...] = ()
    """Endings of the files that are mutated; all where it is empty."""

    def __str__(self) -> str:
        return self.name

    def mutant(self, seeds: list[dict[str, bytes]], random: Random) -> dict[str, bytes]:
        """One of the seeds with a file that is not as it was."""
        files = dict(random.choice(seeds))
        names = [name for name in files if not self.targets or name.endswith(self.targets)]
        for name in random.sample(names, k=1 if random.random() < 0.9 else min(2, len(names))):
            files[name] = self._changed(name, files[name], random)
        return files

    def _changed(self, name: str, content: bytes, random: Random) -> bytes:
        form = next((form for ending, form in self.forms.items() if name.endswith(ending)), None)
        chance = random.random()
        if form is not None and chance < 0.75:
            return form.write(mutate.tree(random, form.read(content), form.yaml))
        textual = form is not None or name.endswith((".j2", ".txt"))
        return mutate.text(random, content) if textual and chance < 0.92 else mutate.raw(random, content)


@dataclass(frozen=True)
class Outcome:
    """What became of an input; ``told`` is the refusal, or the traceback's last lines."""

    verdict: str
    told: str = ""

    @property
    def place(self) -> str:
        """Where it went wrong: failures at one place are one failure."""
        return self.told.partition("\n")[0]


def outcome(kind: Kind, folder: Path) -> Outcome:
    """Reads the files of a folder. A refusal is one line that can be printed."""
    try:
        kind.read(folder)
    except TqhwError as error:
        message = str(error)
        if "\n" in message or len(message) > LONGEST_MESSAGE or not message.isprintable():
            return Outcome(RAW, f"a refusal that is not one printable line, at {_raised(error)}\n{message!a:.300}")
        return Outcome(REFUSED, message)
    except Exception as error:  # noqa: BLE001 - this is what is looked for
        return Outcome(RAW, f"{type(error).__name__} at {_raised(error)}\n{str(error)[:200]!a}")
    return Outcome(TAKEN)


def _raised(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    ours = [f for f in frames if "/tqhw/" in f.filename and "site-packages" not in f.filename] or frames
    last = ours[-1]
    inner = frames[-1]
    return f"{Path(last.filename).name}:{last.lineno} ({last.name})" + (
        "" if inner is last else f", in {Path(inner.filename).name}:{inner.lineno}"
    )


def put(files: Files, folder: Path) -> None:
    """Writes an input into a folder that is empty or holds the one before."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
