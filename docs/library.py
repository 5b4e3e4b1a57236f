"""Write the reference of the library, all modules with their docstrings, as HTML: make docs"""

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pdoc

import quantlab

PAGES = Path(__file__).resolve().parent.parent / "build" / "docs"


def modules() -> Iterator[str]:
    """Yield the library, and those modules that pdoc would leave out: below a package that says
    what it exports it looks no further."""
    yield quantlab.__name__
    for found in pkgutil.walk_packages(quantlab.__path__, "quantlab."):
        parent, _, name = found.name.rpartition(".")
        exported = getattr(importlib.import_module(parent), "__all__", [name])
        if name not in exported and not name.startswith("_"):
            yield found.name


def write(folder: Path) -> Path:
    """Write the pages; return the first."""
    for name in quantlab.__all__:  # imported when they are used
        getattr(quantlab, name)
    pdoc.pdoc(*modules(), output_directory=folder)
    return folder / "index.html"


if __name__ == "__main__":
    sys.stdout.write(f"{write(PAGES)}\n")
