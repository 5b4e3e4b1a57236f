"""Copies of a run's code, and how that of today differs; the commands are tested with them too."""

import hashlib
from pathlib import Path

import pytest

from experiments.runs import sources
from experiments.runs.folder import RunFolder, create_run
from quantlab.errors import UsageError

CODE = {"a/b.py": b"x = 1\n", "c.py": b"y = 2\n"}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return create_run("Toy", tmp_path)


def test_copies_and_hashes(folder: RunFolder) -> None:
    entry = sources.keep(folder, CODE)
    assert entry == {
        "folder": "sources",
        "sha256": {path: hashlib.sha256(code).hexdigest() for path, code in CODE.items()},
    }
    assert {path: (folder.path / "sources" / path).read_bytes() for path in CODE} == CODE
    assert sources.changes(folder, {"sources": entry}, CODE) == []


def test_newer_copies_lie_beside_older_ones(folder: RunFolder) -> None:
    entry = None
    for number, name in enumerate(("sources", "sources1", "sources2")):
        entry = sources.keep(folder, {"c.py": b"y = %d" % number}, entry)
        assert entry["folder"] == name
    texts = [(folder.path / f"sources{n}" / "c.py").read_bytes() for n in ("", 1, 2)]
    assert texts == [b"y = 0", b"y = 1", b"y = 2"]


def test_changes_by_path(folder: RunFolder) -> None:
    record = {"sources": sources.keep(folder, CODE)}
    now = {"a/b.py": b"# one\nx = 3\n", "d.py": b""}
    found = sources.changes(folder, record, now)
    assert list(map(str, found)) == ["a/b.py:2: changed", "c.py: removed", "d.py: added"]
    line = sources.describe(found, "Toy/exp000")
    assert line.startswith("a/b.py:2: changed since Toy/exp000 was trained (and 2 other files); ")
    assert "(and 1 other file)" in sources.describe(found[:2], "Toy/exp000")
    assert "other" not in sources.describe(found[:1], "Toy/exp000")
    assert sources.changes(folder, record, {**CODE, "c.py": b"y = 2  # two\n"}) == []


def test_a_folder_that_cannot_be_made(folder: RunFolder) -> None:
    (folder.path / "sources").write_text("in the way")
    with pytest.raises(UsageError, match=r"sources.*: cannot be written"):
        sources.keep(folder, CODE)
