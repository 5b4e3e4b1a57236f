"""A checkout in a folder with blanks in its name."""

import shutil
from pathlib import Path

import pytest

from tests.cfg.checkout import CFG, Checkout


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    home = tmp_path / "with a blank" / "my lab's $ & co"
    shutil.copytree(CFG, home / "cfg", ignore=shutil.ignore_patterns("__pycache__"))
    (home / "problems").mkdir()
    disk = home.parent / "big disk"
    disk.mkdir()
    made = Checkout(home=home, disk=disk)
    made.configure("storage", "storage")
    return made
