"""Image folders, read one by one and decoded as a whole."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from problems.images.folder import (
    ImageFolder,
    check_same_classes,
    decode,
    scan_folder,
    split_folder,
    to_tensor,
)
from quantlab.errors import DataError, UsageError


def write_image(
    path: Path, *, seed: int, size: tuple[int, int] = (8, 6), mode: str = "RGB"
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for number, name in enumerate(("dog/2.png", "dog/10.png", "cat/b.png", "cat/a.PNG")):
        write_image(tmp_path / "images" / name, seed=number)
    (tmp_path / "images" / "cat" / "notes.txt").write_text("no image")
    (tmp_path / "images" / ".hidden").mkdir()
    (tmp_path / "images" / "readme.txt").write_text("no class")
    return tmp_path / "images"


def test_classes_and_files_are_sorted(root: Path) -> None:
    images = scan_folder(root)
    assert images.classes == ("cat", "dog")
    assert images.paths == ("cat/a.PNG", "cat/b.png", "dog/10.png", "dog/2.png")
    assert images.targets.tolist() == [0, 0, 1, 1]
    assert images.targets.dtype == torch.int64
    assert len(images) == 4


def test_read_gives_rgb_and_ignores_exif(root: Path) -> None:
    write_image(root / "cat" / "c.png", seed=9, mode="L")
    exif = Image.Exif()
    exif[0x0112] = 6  # Turned by a quarter.
    Image.new("RGB", (8, 6), (200, 10, 10)).save(root / "cat" / "d.jpg", exif=exif)
    images = scan_folder(root)
    assert images.read(2).mode == "RGB"
    assert images.read(3).size == (8, 6)


@pytest.mark.parametrize("kind", ["uint16", "int32", "float32"])
def test_pixels_of_more_than_8_bits_are_refused(root: Path, kind: str) -> None:
    suffix = "png" if kind == "uint16" else "tiff"
    path = root / "cat" / "c.png"
    Image.fromarray(np.full((6, 8), 300, kind)).save(path, format=suffix)
    with pytest.raises(DataError, match=r"cat/c\.png: pixels of (16|32) bits; 8 bits allowed"):
        scan_folder(root).read(2)


def test_instances_travel_to_workers(root: Path) -> None:
    images = scan_folder(root)
    sent = pickle.loads(pickle.dumps(images))
    assert np.array_equal(np.asarray(sent.read(1)), np.asarray(images.read(1)))


def test_what_is_left_out_is_told(root: Path) -> None:
    (root / "dog" / "more.png").mkdir()
    (root / "dog" / "Thumbs.db").write_text("no image")
    (root / "dog" / ".hidden.gif").write_text("hidden")
    write_image(root / "cat" / "c.gif", seed=1)
    images = scan_folder(root)
    assert len(images) == 4
    assert images.left_out == ("cat/c.gif", "cat/notes.txt", "dog/Thumbs.db", "dog/more.png")
    source = split_folder(root).source
    assert source.endswith(f"{root}; 4 left out, such as cat/c.gif")


def test_a_folder_without_splits_is_split_class_by_class(tmp_path: Path) -> None:
    for name, count in (("cat", 8), ("dog", 3)):
        for number in range(count):
            write_image(tmp_path / name / f"{number}.png", seed=number)
    data = split_folder(tmp_path, test_fraction=0.25)
    assert isinstance(data.train, ImageFolder)
    assert isinstance(data.test, ImageFolder)
    assert data.train.targets.bincount().tolist() == [6, 2]
    assert data.test.targets.bincount().tolist() == [2, 1]
    both = sorted(data.train.paths + data.test.paths)
    assert both == sorted(scan_folder(tmp_path).paths)
    for part in (data.train, data.test):
        assert [Path(path).parts[0] for path in part.paths] == [
            part.classes[target] for target in part.targets.tolist()
        ]
    assert split_folder(tmp_path, test_fraction=0.25).test.paths == data.test.paths
    assert split_folder(tmp_path, test_fraction=0.25, split_seed=1).test.paths != data.test.paths


def test_folders_that_cannot_be_split(root: Path) -> None:
    (root / "dog" / "2.png").unlink()
    with pytest.raises(DataError, match="dog: 1 images; too few to train and to test"):
        split_folder(root)
    for fraction in (0.0, 1.0):
        with pytest.raises(UsageError, match=f"test_fraction: {fraction} given; above 0"):
            split_folder(root, test_fraction=fraction)


def test_decode_matches_reading(root: Path, tmp_path: Path) -> None:
    images = scan_folder(root)
    whole = decode(images, size=(6, 8), cache=None)
    assert whole.inputs.shape == (4, 3, 6, 8)
    for index in range(4):
        assert torch.equal(whole.inputs[index], to_tensor(images.read(index)))


def test_cache_is_used_until_a_file_changes(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "pixels.npy"
    first = decode(scan_folder(root), size=(6, 8), cache=cache)
    changed = root / "dog" / "2.png"
    stat = changed.stat()
    write_image(changed, seed=77)
    raw = changed.read_bytes()
    # Same size and time: not seen as changed, which shows that the cache is what is read.
    if len(raw) == stat.st_size:
        os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns))
        cached = decode(scan_folder(root), size=(6, 8), cache=cache)
        assert torch.equal(cached.inputs, first.inputs)
    os.utime(changed, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    fresh = decode(scan_folder(root), size=(6, 8), cache=cache)
    assert torch.equal(fresh.inputs[:3], first.inputs[:3])
    assert torch.equal(fresh.inputs[3], to_tensor(scan_folder(root).read(3)))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "images",
        "pixels.key",
        "pixels.npy",
    ]


@pytest.mark.parametrize("name", ["pixels.npy", "pixels.key"])
@pytest.mark.parametrize("size", [0, 20, 200])
def test_damaged_cache_counts_as_none(root: Path, tmp_path: Path, name: str, size: int) -> None:
    cache = tmp_path / "pixels.npy"
    first = decode(scan_folder(root), size=(6, 8), cache=cache)
    raw = bytearray((tmp_path / name).read_bytes())[:size]
    (tmp_path / name).write_bytes(bytes(raw))
    again = decode(scan_folder(root), size=(6, 8), cache=cache)
    assert torch.equal(again.inputs, first.inputs)


def test_flipped_pixel_in_the_cache_is_found(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "pixels.npy"
    first = decode(scan_folder(root), size=(6, 8), cache=cache)
    raw = bytearray(cache.read_bytes())
    raw[-1] ^= 1
    cache.write_bytes(bytes(raw))
    again = decode(scan_folder(root), size=(6, 8), cache=cache)
    assert torch.equal(again.inputs, first.inputs)


def test_errors_name_the_file(root: Path, tmp_path: Path) -> None:
    images = scan_folder(root)
    broken = root / images.paths[1]
    broken.write_bytes(broken.read_bytes()[:60])
    with pytest.raises(DataError, match=r"cat/b\.png: cannot be decoded"):
        images.read(1)
    with pytest.raises(DataError, match=r"cat/b\.png: cannot be decoded"):
        decode(images, size=(6, 8), cache=None)
    write_image(broken, seed=0, size=(5, 5))
    with pytest.raises(DataError, match=r"cat/b\.png: 5 x 5 pixels; allowed: 8 x 6"):
        decode(images, size=(6, 8), cache=None)


def test_errors_of_the_layout(root: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be listed"):
        scan_folder(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no class folders; expected"):
        scan_folder(tmp_path / "empty")
    (root / "bird").mkdir()
    with pytest.raises(DataError, match=r"bird: no images; allowed: \.bmp"):
        scan_folder(root)
    write_image(tmp_path / "other" / "cat" / "a.png", seed=0)
    (root / "bird").rmdir()
    with pytest.raises(DataError, match=r"2 classes, .* has 1; not in both: dog"):
        check_same_classes(scan_folder(root), scan_folder(tmp_path / "other"))
