"""CIFAR-100: official batches with fine labels; what it shares is tested with CIFAR10."""

import dataclasses
import hashlib
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from experiments.protocols import InMemory
from problems.CIFAR10 import data as cifar10
from problems.CIFAR100 import data
from quantlab.errors import DataError


def batch(name: str, num_samples: int = 4) -> dict[bytes, Any]:
    """Content as in the official files: bytes as keys, rows of red, green and blue planes."""
    random = np.random.default_rng(len(name))
    return {
        b"batch_label": name.encode(),
        b"fine_labels": random.integers(0, 100, num_samples).tolist(),
        b"coarse_labels": random.integers(0, 20, num_samples).tolist(),
        b"data": random.integers(0, 256, (num_samples, 3072), dtype=np.uint8),
        b"filenames": [f"{index}.png".encode() for index in range(num_samples)],
    }


@pytest.mark.parametrize("is_archive", [False, True])
def test_official_batches(
    is_archive: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "cifar-100-python"
    root.mkdir()
    md5 = {}
    for name in ("train", "test"):
        (root / name).write_bytes(pickle.dumps(batch(name), 2))
        md5[name] = hashlib.md5((root / name).read_bytes()).hexdigest()
    (root / "meta").write_bytes(b"not read")
    folder = tmp_path
    if is_archive:
        folder = tmp_path / "data"
        folder.mkdir()
        with tarfile.open(folder / "cifar-100-python.tar.gz", "w:gz") as tar:
            tar.add(root, root.name)
    monkeypatch.setattr(data, "FILES", dataclasses.replace(data.FILES, md5=md5))
    loaded = data.load(folder, "folder")
    for name, part in (("train", loaded.train), ("test", loaded.test)):
        assert isinstance(part, InMemory)
        assert np.array_equal(part.inputs.numpy().reshape(4, 3072), batch(name)[b"data"])
        assert part.targets.tolist() == batch(name)[b"fine_labels"]
    assert "CIFAR-100, official batches" in data.fetch(folder)


def test_the_official_files_are_torchvisions() -> None:
    from quantlab.vision import torchvision

    for name, files in (("CIFAR100", data.FILES), ("CIFAR10", cifar10.FILES)):
        theirs = getattr(torchvision.datasets, name)
        assert (files.folder, files.archive) == (theirs.base_folder, theirs.filename)
        assert files.md5 == dict([*theirs.train_list, *theirs.test_list])
        assert [*files.train, files.test] == list(files.md5)


def test_batches_of_cifar10_are_refused() -> None:
    raw = pickle.dumps({b"labels": [1], b"data": np.zeros((1, 3072), np.uint8)}, 2)
    message = "x: no entry 'fine_labels'; expected a batch of CIFAR-100"
    with pytest.raises(DataError, match=message):
        data.FILES.parse_batch(raw, "x")
    wrong = batch("train") | {b"fine_labels": [0, 1, 2, 100]}
    with pytest.raises(DataError, match=r"as many labels 0\.\.99"):
        data.FILES.parse_batch(pickle.dumps(wrong, 2), "x")


def test_a_hundred_classes_in_the_official_order() -> None:
    classes = data.FILES.classes
    assert len(set(classes)) == 100
    assert list(classes) == sorted(classes)


def test_synthetic_photos_say_so(tmp_path: Path) -> None:
    made_up = data.load(tmp_path, "synthetic")
    assert made_up.source.startswith("synthetic images of 100 classes")
    assert isinstance(made_up.train, InMemory)
    assert made_up.train.inputs.shape[1:] == (3, 32, 32)
    assert made_up.train.targets.unique().equal(torch.arange(100))


def test_an_empty_folder_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"python main\.py data --problem=CIFAR100"):
        data.load(tmp_path, "folder")
