"""ImageNet: where photos are looked for and what is said of them."""

import tarfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from experiments.protocols import InMemory
from problems.ImageNet import data
from problems.ImageNet.ResNet import preprocess
from quantlab.errors import DataError

SAMPLE = Path(__file__).resolve().parents[4] / "shared" / "data" / "imagenet_sample.tar"


def write_photos(root: Path, *names: str) -> None:
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        pixels = np.random.default_rng(number).integers(0, 256, (40, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name / f"{name}_0.JPEG")


def test_train_and_val(tmp_path: Path) -> None:
    write_photos(tmp_path / "train", "n02", "n01")
    write_photos(tmp_path / "val", "n01", "n02")
    loaded = data.load(tmp_path, "auto")
    assert not isinstance(loaded.train, InMemory)
    assert loaded.train.classes == ("n01", "n02")
    assert not np.array_equal(np.asarray(loaded.train.read(0)), np.asarray(loaded.test.read(0)))
    assert "2 photos to train and 2 to test, 2 classes" in data.fetch(tmp_path)


@pytest.mark.parametrize("place", ["", "imagenet", "imagenet_sample"])
def test_val_alone_trains_and_tests_and_says_so(tmp_path: Path, place: str) -> None:
    write_photos(tmp_path / place / "val", "n01", "n02")
    loaded = data.load(tmp_path, "folder")
    assert loaded.train is loaded.test
    assert loaded.source.endswith("val only: the same photos train and test")


def test_classes_must_agree(tmp_path: Path) -> None:
    write_photos(tmp_path / "train", "n01", "n02", "n03")
    write_photos(tmp_path / "val", "n01", "n02")
    with pytest.raises(DataError, match="not in both: n03"):
        data.load(tmp_path, "folder")


@pytest.mark.parametrize("source", ["folder", "auto"])
def test_an_empty_folder_says_what_to_do(tmp_path: Path, source: str) -> None:
    with pytest.raises(DataError, match="train/<wnid>/<photo> and val/<wnid>/<photo>") as caught:
        data.load(tmp_path, "folder" if source == "folder" else "auto")
    assert str(tmp_path) in str(caught.value)
    with pytest.raises(DataError, match="it cannot be fetched"):
        data.fetch(tmp_path)


def test_synthetic_photos(tmp_path: Path) -> None:
    made_up = data.load(tmp_path, "synthetic")
    assert made_up.source.startswith("synthetic ")
    assert len(made_up.train.classes) == 1000
    assert not isinstance(made_up.train, InMemory)
    assert preprocess.read_evaluate(made_up.train.read(0)).shape == (3, 224, 224)


@pytest.mark.skipif(not SAMPLE.is_file(), reason=f"needs {SAMPLE}")
def test_real_photos(tmp_path: Path) -> None:
    with tarfile.open(SAMPLE) as tar:
        tar.extractall(tmp_path, filter="data")
    loaded = data.load(tmp_path, "folder")
    assert len(loaded.train) == len(loaded.train.classes) == 1000
    assert not isinstance(loaded.train, InMemory)
    assert loaded.train.targets.tolist() == list(range(1000))
    draws = np.random.default_rng(0).random(preprocess.NUM_DRAWS).tolist()
    for index in range(0, 1000, 100):
        photo = loaded.train.read(index)
        for pixels in (preprocess.read_train(photo, draws), preprocess.read_evaluate(photo)):
            assert pixels.shape == (3, 224, 224)
            assert pixels.dtype == torch.uint8
            assert pixels.is_contiguous()
