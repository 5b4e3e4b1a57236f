"""Files of recordings: what is read, and what is refused by name."""

from pathlib import Path

import numpy as np
import pytest

from problems.SpokenDigits.recordings import Name, gather, parse_name, parse_wav
from quantlab.errors import DataError
from tests.problems.SpokenDigits.recording_files import write_wav

PATH = Path("recordings") / "7_ann_12.wav"
SAMPLES = np.array([0, 1, -1, 32767, -32768, 258], np.int16)


@pytest.fixture
def raw(tmp_path: Path) -> bytes:
    write_wav(tmp_path / "x.wav", SAMPLES)
    return (tmp_path / "x.wav").read_bytes()


def test_names() -> None:
    assert parse_name(PATH) == Name(digit=7, speaker="ann", index=12)


@pytest.mark.parametrize("name", ["7_ann.wav", "ten_ann_0.wav", "12_ann_0.wav", "7_ann_x.wav", "a"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(DataError, match=f"^a/{name}: unknown name; <digit>_<speaker>_<index>"):
        parse_name(Path("a") / name)


def test_samples_are_read_as_they_were_written(raw: bytes) -> None:
    found = parse_wav(raw, PATH)
    assert found.dtype == np.int16
    assert found.tolist() == SAMPLES.tolist()


@pytest.mark.parametrize("count", range(56))
def test_damaged_files_are_named(raw: bytes, count: int) -> None:
    assert len(raw) == 56
    with pytest.raises(DataError, match=r"^recordings/7_ann_12\.wav: ") as caught:
        parse_wav(raw[:count], PATH)
    assert "\n" not in str(caught.value)
    assert "()" not in str(caught.value)


@pytest.mark.parametrize(
    ("rate", "channels", "given"),
    [(16000, 1, "1 channels, 16 bits and 16000 Hz"), (8000, 2, "2 channels, 16 bits and 8000 Hz")],
)
def test_other_formats_are_refused(tmp_path: Path, rate: int, channels: int, given: str) -> None:
    write_wav(tmp_path / "x.wav", SAMPLES, rate=rate, channels=channels)
    with pytest.raises(DataError, match=f"{given} given; 1 channel, 16 bits and 8000 Hz allowed"):
        parse_wav((tmp_path / "x.wav").read_bytes(), PATH)


def test_no_samples_are_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "x.wav", SAMPLES[:0])
    with pytest.raises(DataError, match="0 bytes for 0 samples given"):
        parse_wav((tmp_path / "x.wav").read_bytes(), PATH)


def test_recordings_have_one_order() -> None:
    names = [
        Name(digit=digit, speaker=speaker, index=index)
        for digit in (1, 0)
        for speaker in ("b", "a")
        for index in (10, 9)
    ]
    parts = {name: np.array([number], np.int16) for number, name in enumerate(names)}
    found = gather(parts)
    assert found.targets.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [int(found.read(n)[0]) for n in range(len(found))] == [7, 6, 5, 4, 3, 2, 1, 0]
