"""Verified reading, whole writing, temporary download folders."""

import gzip
from pathlib import Path

import pytest

from problems.images.files import check_md5, download_folder, last_line, read, write_whole
from quantlab.errors import DataError


def test_write_then_read(tmp_path: Path) -> None:
    path = tmp_path / "a" / "file"
    write_whole(path, b"first")
    write_whole(path, b"second")
    assert read(path) == b"second"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").touch()
    with pytest.raises(OSError, match="taken"):
        write_whole(tmp_path / "taken", b"raw")
    assert [entry.name for entry in tmp_path.iterdir()] == ["taken"]


def test_zipped_files(tmp_path: Path) -> None:
    path = tmp_path / "file.gz"
    raw = gzip.compress(b"content" * 100)
    path.write_bytes(raw)
    assert read(path) == b"content" * 100
    for damaged in (raw[:-9], raw[:30], raw[:10] + b"\xff" + raw[11:], b"plain"):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"file\.gz: cannot be read"):
            read(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing: cannot be read"):
        read(tmp_path / "nothing")


def test_md5() -> None:
    check_md5(b"abc", "900150983cd24fb0d6963f7d28e17f72", "x")
    with pytest.raises(DataError, match=r"^x: damaged: 2 bytes with md5 1.*expected md5 9001509"):
        check_md5(b"ab", "900150983cd24fb0d6963f7d28e17f72", "x")


def test_download_folder_goes_in_any_case(tmp_path: Path) -> None:
    def interrupted() -> None:
        with download_folder(tmp_path / "new") as temporary:
            (temporary / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list((tmp_path / "new").iterdir()) == []


def test_download_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: data cannot be written there"):
        download_folder(tmp_path / "file").__enter__()


def test_last_line() -> None:
    assert last_line("one\ntwo \n\n") == "two"
    assert last_line("") == "no message"
