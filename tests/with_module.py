"""Runs tests on a compiled module that is not installed: python -m tests.with_module FILE ARGUMENTS

ctest does so in a build with -DTESTING=1. Processes that tests start have the installed module.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

NAME = "quantlab._backend"


class Finder:
    """Finds the module in a file, before all other finders."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_file_location(NAME, self.file) if name == NAME else None


if __name__ == "__main__":
    file, *arguments = sys.argv[1:]
    sys.meta_path.insert(0, Finder(Path(file).resolve(strict=True)))
    sys.exit(pytest.main(arguments))
