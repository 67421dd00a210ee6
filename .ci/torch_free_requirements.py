"""Prints what tqhw and its tests need besides PyTorch, out of pyproject.toml."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
needed = [*project["dependencies"], *project["optional-dependencies"]["test"]]
sys.stdout.write("".join(f"{n}\n" for n in needed if re.split(r"[<>=!~\[ ;]", n)[0] != "torch"))
