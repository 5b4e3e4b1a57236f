"""The files that a module is made of, against what Python itself imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from experiments.imports import imported_files

TREE = {
    "shop/__init__.py": "",
    "shop/till.py": "import json\nfrom . import coins\nfrom .deep.er import price\n",
    "shop/coins.py": "from shop.deep import er as other\n",
    "shop/deep/__init__.py": "import plain\n",
    "shop/deep/er.py": "from .. import signs\nprice = 3\n",
    "shop/signs.py": "from . import till\n",
    "plain.py": "",
    "lazy.py": "def later():\n    import shop.never\n",
    "shop/never.py": "import left.out\n",
    "left/out.py": "",
    "shop/aside.py": "",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def test_as_python_imports_them(home: Path) -> None:
    program = (
        "import json, sys, shop.till\n"
        "print(json.dumps([m.__file__ for m in sys.modules.values() if getattr(m, '__file__', 0)]))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", program], cwd=home, check=True, capture_output=True, text=True
    )
    files = {Path(file) for file in json.loads(done.stdout)}
    expected = {str(f.relative_to(home)) for f in files if f.is_relative_to(home)}
    found = imported_files(home, ["shop.till"], [])
    assert set(found) == expected
    assert list(found) == sorted(found)
    assert all(found[name] == TREE[name].encode() for name in found)


def test_what_functions_import_counts_and_what_is_left_does_not(home: Path) -> None:
    names = {"lazy.py", "shop/__init__.py", "shop/never.py"}
    assert set(imported_files(home, ["lazy"], ["left"])) == names
    assert set(imported_files(home, ["lazy"], [])) == {*names, "left/out.py"}


@pytest.mark.parametrize("text", ["def (", "\0", "from ....... import x", "import nowhere.at.all"])
def test_code_that_does_not_run_is_a_file_still(home: Path, text: str) -> None:
    (home / "plain.py").write_text(text)
    assert imported_files(home, ["plain", "gone"], []) == {"plain.py": text.encode()}
