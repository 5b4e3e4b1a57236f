"""CIFAR-10: official batches, image folders, damage to both."""

import dataclasses
import gzip
import hashlib
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.protocols import InMemory
from problems.CIFAR10 import data
from quantlab.errors import DataError


def batch(number: int, num_samples: int = 4) -> dict[bytes, Any]:
    """Content as in the official files: bytes as keys, rows of red, green and blue planes."""
    random = np.random.default_rng(number)
    return {
        b"batch_label": f"batch {number}".encode(),
        b"labels": random.integers(0, 10, num_samples).tolist(),
        b"data": random.integers(0, 256, (num_samples, 3072), dtype=np.uint8),
        b"filenames": [f"{index}.png".encode() for index in range(num_samples)],
    }


@pytest.fixture
def official(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Small batches in the official layout, with their own MD5s in place of the official ones."""
    folder = tmp_path / "data"
    (folder / data.FILES.folder).mkdir(parents=True)
    md5 = {}
    for number, name in enumerate(data.FILES.md5):
        raw = pickle.dumps(batch(number), 2)
        (folder / data.FILES.folder / name).write_bytes(raw)
        md5[name] = hashlib.md5(raw).hexdigest()
    monkeypatch.setattr(data, "FILES", dataclasses.replace(data.FILES, md5=md5))
    return folder


def check_content(folder: Path) -> None:
    loaded = data.load(folder, "folder")
    assert isinstance(loaded.train, InMemory)
    assert isinstance(loaded.test, InMemory)
    for number, part in enumerate([*loaded.train.inputs.split(4), loaded.test.inputs]):
        assert np.array_equal(part.numpy().reshape(4, 3072), batch(number)[b"data"])
    for number, labels in enumerate([*loaded.train.targets.split(4), loaded.test.targets]):
        assert labels.tolist() == batch(number)[b"labels"]


def test_official_batches(official: Path) -> None:
    check_content(official)
    assert "20 + 4 images" in data.fetch(official)


def test_official_archive(official: Path) -> None:
    with tarfile.open(official / data.FILES.archive, "w:gz") as tar:
        tar.add(official / data.FILES.folder, data.FILES.folder)
    for path in (official / data.FILES.folder).iterdir():
        path.unlink()
    (official / data.FILES.folder).rmdir()
    check_content(official)
    assert [path.name for path in official.iterdir()] == [data.FILES.archive]
    raw = (official / data.FILES.archive).read_bytes()
    (official / data.FILES.archive).write_bytes(raw[: len(raw) // 2])
    with pytest.raises(DataError, match=r"tar\.gz: cannot be unpacked .*; delete it and fetch"):
        data.load(official, "folder")
    with gzip.open(official / data.FILES.archive, "wb") as file:
        file.write(b"\0" * 10240)
    with pytest.raises(DataError, match=r"tar\.gz: lacks data_batch_1"):
        data.load(official, "folder")


def test_other_content_is_refused_by_its_hash(tmp_path: Path) -> None:
    (tmp_path / data.FILES.folder).mkdir()
    for number, name in enumerate(data.FILES.md5):
        (tmp_path / data.FILES.folder / name).write_bytes(pickle.dumps(batch(number), 2))
    with pytest.raises(DataError, match=r"data_batch_1: damaged: .*expected md5 c99cafc152244af7"):
        data.load(tmp_path, "folder")


def test_missing_batch_is_named(official: Path) -> None:
    (official / data.FILES.folder / "data_batch_3").unlink()
    with pytest.raises(DataError, match="data_batch_3: cannot be read"):
        data.load(official, "folder")


class Runs:
    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (self.command,)


def test_a_batch_that_runs_something_is_refused(tmp_path: Path) -> None:
    raw = pickle.dumps({b"data": Runs(f"touch {tmp_path / 'made'}"), b"labels": [1]}, 2)
    with pytest.raises(DataError, match=r"^x: the pickle asks for posix\.system"):
        data.FILES.parse_batch(raw, "x")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({b"labels": [0, 1, 2, 10]}, r"as many labels 0\.\.9"),
        ({b"labels": [0, 1, 2]}, r"bytes of shape \[3, 3072\]"),
        ({b"labels": 4}, "no entry 'labels'"),
        ({b"data": np.zeros((4, 3072), np.float32)}, "expected bytes of shape"),
        ({b"data": [0, 0, 0, 0]}, "expected bytes of shape"),
    ],
)
def test_batches_of_another_form(change: dict[bytes, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        data.FILES.parse_batch(pickle.dumps(batch(0) | change, 2), "x")
    with pytest.raises(DataError, match="no entry 'data'"):
        data.FILES.parse_batch(pickle.dumps([1, 2], 2), "x")


def write_images(folder: Path) -> None:
    for split in ("train", "test"):
        for number, name in enumerate(data.FILES.classes):
            path = folder / split / name / "0.png"
            path.parent.mkdir(parents=True)
            Image.new("RGB", (32, 32), (number, 2 * number, 3 * number)).save(path)


def test_image_folder(tmp_path: Path) -> None:
    write_images(tmp_path)
    for _ in range(2):  # The second time from the cache.
        loaded = data.load(tmp_path, "auto")
        assert isinstance(loaded.train, InMemory)
        assert loaded.train.classes == data.FILES.classes
        assert loaded.train.inputs[:, :, 5, 5].tolist() == [[n, 2 * n, 3 * n] for n in range(10)]
        assert loaded.train.targets.tolist() == list(range(10))
    assert "10 + 10 images" in data.fetch(tmp_path)
    assert (tmp_path / ".pixels-train.npy").is_file()


def test_damaged_image_is_named_by_fetch_too(tmp_path: Path) -> None:
    write_images(tmp_path)
    (tmp_path / "train" / "dog" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"train/dog/0\.png: cannot be decoded"):
        data.fetch(tmp_path)


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"python main\.py data --problem=CIFAR10") as caught:
        data.load(tmp_path, "folder")
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_synthetic_photos_say_so(tmp_path: Path) -> None:
    made_up = data.load(tmp_path, "synthetic")
    assert made_up.source.startswith("synthetic ")
    assert isinstance(made_up.train, InMemory)
    assert made_up.train.inputs.shape[1:] == (3, 32, 32)
    assert made_up.train.inputs.dtype == torch.uint8
