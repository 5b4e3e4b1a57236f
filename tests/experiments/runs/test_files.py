"""Files are whole or absent."""

import errno
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiments.runs.files import read_json, storage_error, write_atomically, write_json
from quantlab.errors import UsageError


@given(
    value=st.recursive(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_json_round_trip(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    file = tmp_path_factory.getbasetemp() / "value.json"
    write_json(file, value)
    assert read_json(file) == value


def test_what_is_not_finite_is_null(tmp_path: Path) -> None:
    """JSON has no NaN and no Infinity: other readers refuse a file with them."""
    file = tmp_path / "value.json"
    write_json(file, {"a": [math.nan, (math.inf, 1.5)], "b": -math.inf, "c": {"d": math.nan}})
    assert read_json(file) == {"a": [None, [None, 1.5]], "b": None, "c": {"d": None}}
    assert "NaN" not in file.read_text()
    assert "Infinity" not in file.read_text()


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    file = tmp_path / "a.json"
    write_json(file, 1)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os if failing == "fsync" else Path, failing, full)
    with pytest.raises(UsageError, match=r"a\.json: cannot be written: No space left on device; "):
        write_json(file, 2)
    assert read_json(file) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"x: cannot be written: No such file or directory$"):
        write_atomically(tmp_path / "none" / "x", b"")


def test_reading_what_is_no_json(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.json: No such file"):
        read_json(tmp_path / "gone.json")
    for content in (b"", b"{", b"\xff\xfe"):
        (tmp_path / "bad.json").write_bytes(content)
        with pytest.raises(UsageError, match=r"bad\.json: not valid JSON"):
            read_json(tmp_path / "bad.json")


def test_only_a_full_disk_asks_for_space() -> None:
    denied = storage_error(Path("f"), OSError(errno.EACCES, "Permission denied"))
    assert str(denied) == "f: cannot be written: Permission denied"
    for number in (errno.ENOSPC, errno.EDQUOT):
        told = str(storage_error(Path("f"), OSError(number, "full")))
        assert "free some space" in told
        assert told.endswith("; runs that began can go on")
