"""Print the requirements that ``pyproject.toml`` states: ``runtime`` (with the build backend) or ``dev``."""

import sys
import tomllib
from pathlib import Path

pyproject = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
project = pyproject["project"]
requirements: dict[str, list[str]] = {
    "runtime": [*pyproject["build-system"]["requires"], *project["dependencies"]],
    **project["optional-dependencies"],
}
print("\n".join(requirements[sys.argv[1]]))
