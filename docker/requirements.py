"""Prints what the container needs of pyproject.toml: everything but PyTorch."""

import re
import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
sys.stdout.write("".join(f"{n}\n" for n in project["dependencies"] if re.split(r"[<>=!~\[ ;]", n)[0] != "torch"))
