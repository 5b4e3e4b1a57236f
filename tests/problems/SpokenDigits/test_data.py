"""The data of spoken digits: a folder, an archive, damage to both, the split of its authors."""

import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.protocols import Data
from problems.SpokenDigits import data
from problems.SpokenDigits.recordings import Recordings
from quantlab.errors import DataError
from tests.problems.SpokenDigits.recording_files import write_recordings, write_wav

OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "data" / "tinyml"


def pack(folder: Path) -> None:
    """Put the recordings into the archive, and remove them."""
    with tarfile.open(folder / data.ARCHIVE, "w:xz") as tar:
        tar.add(folder / data.FOLDER, data.FOLDER)
    for path in (folder / data.FOLDER).iterdir():
        path.unlink()
    (folder / data.FOLDER).rmdir()


def check_split(loaded: Data, num_train: int, num_test: int) -> None:
    for part, count in ((loaded.train, num_train), (loaded.test, num_test)):
        assert isinstance(part, Recordings)
        assert len(part) == count
        assert part.targets.bincount(minlength=10).tolist() == [count // 10] * 10
        assert part.classes == tuple("0123456789")


def test_the_first_five_recordings_are_for_tests(tmp_path: Path) -> None:
    write_recordings(tmp_path, num_tests=2, num_trains=1)
    for index in (4, 5):
        write_wav(tmp_path / data.FOLDER / f"3_bob_{index}.wav", np.array([index], np.int16))
    (tmp_path / data.FOLDER / "about.txt").write_text("no recording")
    loaded = data.load(tmp_path, "folder")
    assert len(loaded.train) == 11
    assert len(loaded.test) == 21
    for part, last in ((loaded.train, 5), (loaded.test, 4)):
        assert isinstance(part, Recordings)
        assert [s.tolist() for s in part.samples if len(s) == 1] == [[last]]
    assert "11 + 21 recordings" in data.fetch(tmp_path)


def test_an_archive_is_read_where_it_lies(tmp_path: Path) -> None:
    write_recordings(tmp_path, num_tests=1, num_trains=1)
    loaded = data.load(tmp_path, "folder")
    pack(tmp_path)
    again = data.load(tmp_path, "auto")
    assert [path.name for path in tmp_path.iterdir()] == [data.ARCHIVE]
    for one, other in ((loaded.train, again.train), (loaded.test, again.test)):
        assert one.targets.tolist() == other.targets.tolist()
        assert all(np.array_equal(one.read(n), other.read(n)) for n in range(10))


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    write_recordings(tmp_path)
    pack(tmp_path)
    raw = (tmp_path / data.ARCHIVE).read_bytes()
    for damaged in (b"", raw[: len(raw) // 2], raw[:5000] + b"\0\0\0\0" + raw[5004:]):
        (tmp_path / data.ARCHIVE).write_bytes(damaged)
        with pytest.raises(DataError, match=r"spoken_digits\.tar\.xz: cannot be unpacked"):
            data.load(tmp_path, "folder")


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_damaged_recording_is_named(tmp_path: Path, *, is_packed: bool) -> None:
    write_recordings(tmp_path)
    path = tmp_path / data.FOLDER / "4_ann_6.wav"
    path.write_bytes(path.read_bytes()[:-3])
    if is_packed:
        pack(tmp_path)
    with pytest.raises(DataError, match=r"recordings/4_ann_6\.wav: ") as caught:
        data.fetch(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["auto", "folder"])
def test_an_empty_folder_says_what_goes_there(tmp_path: Path, source: Any) -> None:
    with pytest.raises(DataError, match=r"no data in .*; put spoken_digits\.tar\.xz") as caught:
        data.load(tmp_path, source)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_part_without_recordings_is_refused(tmp_path: Path) -> None:
    write_recordings(tmp_path, num_tests=1, num_trains=0)
    with pytest.raises(DataError, match="no recordings of index 5 and above"):
        data.load(tmp_path, "folder")
    (tmp_path / "other" / data.FOLDER).mkdir(parents=True)
    with pytest.raises(DataError, match="no recordings of index"):
        data.load(tmp_path / "other", "folder")


def test_synthetic_recordings_say_so(tmp_path: Path) -> None:
    made_up = data.load(tmp_path, "synthetic")
    assert made_up.source.startswith("synthetic ")
    check_split(made_up, 1000, 200)
    assert not np.array_equal(made_up.train.read(0), made_up.test.read(0))


@pytest.mark.long
@pytest.mark.skipif(
    not (OFFICIAL / data.ARCHIVE).is_file(), reason=f"needs {data.ARCHIVE} in {OFFICIAL}"
)
def test_the_real_recordings() -> None:
    check_split(data.load(OFFICIAL, "folder"), 2700, 300)
