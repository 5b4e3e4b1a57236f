"""Image folders: `<class>/<image>`, maybe one for each split.

Shapes: N images, C channels, H x W pixels.
"""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from experiments.protocols import Data, InMemory
from problems.images.files import write_whole
from quantlab.errors import DataError, UsageError
from quantlab.pixels import check_8_bits

SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".webp"))


@dataclass(frozen=True, kw_only=True)
class ImageFolder:
    """The images below `root`, read one by one. Fulfils `OnDisk`.

    paths: `<class>/<image>` below `root`, sorted by class, then by name.
    targets: `[N]` int64, the place of the image's class in `classes`, which are sorted by name.
    left_out: what else lies in the folders of the classes, hidden files apart.
    """

    root: Path
    paths: Sequence[str]
    targets: Tensor
    classes: Sequence[str]
    left_out: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def read(self, index: int) -> Image.Image:
        """Return image `index` as RGB, as its pixels are stored: turning it by its EXIF data is
        left out, as published accuracies do. Raises DataError for a damaged file, and for pixels of
        more than 8 bits.
        """
        path = self.root / self.paths[index]
        try:
            with Image.open(path) as image:
                mode, rgb = image.mode, image.convert("RGB")
        # A damaged image can make its decoder raise nearly anything.
        except Exception as error:
            raise DataError(f"{path}: cannot be decoded ({error}); replace the file") from error
        check_8_bits(mode, path)
        return rgb

    @property
    def remark(self) -> str:
        """What to say of the files that were left out, after the name of the folder."""
        if not self.left_out:
            return ""
        return f"; {len(self.left_out):,} left out, such as {self.left_out[0]}"


def scan_folder(root: Path) -> ImageFolder:
    """List an image folder. Raises DataError if it has no classes or a class has no images."""
    try:
        classes = sorted(entry.name for entry in os.scandir(root) if _is_class(entry))
    except OSError as error:
        raise DataError(f"{root}: cannot be listed ({error})") from error
    if not classes:
        raise DataError(f"{root}: no class folders; expected {root}/<class>/<image>")
    paths: list[str] = []
    targets: list[int] = []
    left_out: list[str] = []
    for target, name in enumerate(classes):
        entries = sorted(os.scandir(root / name), key=lambda entry: entry.name)
        images = [entry.name for entry in entries if _is_image(entry)]
        if not images:
            allowed = ", ".join(sorted(SUFFIXES))
            raise DataError(f"{root / name}: no images; allowed: {allowed}")
        paths += [f"{name}/{image}" for image in images]
        targets += [target] * len(images)
        others = {entry.name for entry in entries if not entry.name.startswith(".")} - {*images}
        left_out += [f"{name}/{other}" for other in sorted(others)]
    return ImageFolder(
        root=root,
        paths=tuple(paths),
        targets=torch.tensor(targets),
        classes=tuple(classes),
        left_out=tuple(left_out),
    )


def split_folder(root: Path, *, test_fraction: float = 0.2, split_seed: int = 0) -> Data:
    """Return the images of a folder that has no splits: of each class `test_fraction`, drawn with
    `split_seed`, are for tests. Raises DataError as `scan_folder`, and for a class of one image."""
    if not 0 < test_fraction < 1:
        raise UsageError(f"test_fraction: {test_fraction} given; above 0 and below 1 allowed")
    images = scan_folder(root)
    generator = torch.Generator().manual_seed(split_seed)
    is_test = torch.zeros(len(images), dtype=torch.bool)
    for target, name in enumerate(images.classes):
        own = (images.targets == target).nonzero().flatten()
        num_test = max(1, round(test_fraction * len(own)))
        if num_test >= len(own):
            raise DataError(f"{root / name}: {len(own)} images; too few to train and to test")
        is_test[own[torch.randperm(len(own), generator=generator)[:num_test]]] = True
    num_classes = len(images.classes)
    return Data(
        train=_part(images, ~is_test),
        test=_part(images, is_test),
        source=f"{len(images)} images of {num_classes} classes in {root}{images.remark}",
    )


def check_same_classes(one: ImageFolder, other: ImageFolder) -> None:
    """Raise DataError unless two image folders have the same classes."""
    differing = sorted(set(one.classes) ^ set(other.classes))
    if differing:
        names = ", ".join(differing[:3]) + (", ..." if len(differing) > 3 else "")
        raise DataError(
            f"{one.root} has {len(one.classes)} classes, {other.root} has {len(other.classes)}; "
            f"not in both: {names}"
        )


def decode(images: ImageFolder, *, size: tuple[int, int], cache: Path | None) -> InMemory:
    """Decode a whole folder of images of `size` (height, width) into uint8 `[N, 3, H, W]`.

    The pixels are kept in `cache` (an .npy file), beside a key of the names, sizes and times of all
    files, and taken from there until one of these changes. Raises DataError for a damaged image and
    for one of another size.
    """
    key = _key(images)
    shape = (len(images), 3, *size)
    pixels_NCHW = None if cache is None else _cached(cache, key, shape)
    if pixels_NCHW is None:
        pixels_NCHW = _decode_all(images, shape)
        if cache is not None:
            _keep(cache, key, pixels_NCHW)
    return InMemory(
        inputs=torch.from_numpy(pixels_NCHW), targets=images.targets, classes=images.classes
    )


def to_tensor(image: Image.Image) -> Tensor:
    """Return an RGB image as uint8 `[3, H, W]`."""
    pixels_HWC = torch.from_numpy(np.array(image))
    return pixels_HWC.permute(2, 0, 1).contiguous()


def _part(images: ImageFolder, is_chosen: Tensor) -> ImageFolder:
    paths = tuple(images.paths[index] for index in is_chosen.nonzero().flatten().tolist())
    return replace(images, paths=paths, targets=images.targets[is_chosen], left_out=())


def _is_class(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _is_image(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in SUFFIXES and entry.is_file()


def _decode_all(images: ImageFolder, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    pixels_NCHW = np.empty(shape, np.uint8)
    height, width = shape[2:]

    def decode_one(index: int) -> None:
        image = images.read(index)
        if image.size != (width, height):
            raise DataError(
                f"{images.root / images.paths[index]}: {image.width} x {image.height} pixels; "
                f"allowed: {width} x {height}"
            )
        pixels_NCHW[index] = np.asarray(image).transpose(2, 0, 1)

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        futures = pool.map(decode_one, range(len(images)))
        try:
            for _ in futures:
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return pixels_NCHW


def _key(images: ImageFolder) -> str:
    digest = hashlib.sha256()
    for path in images.paths:
        stat = (images.root / path).stat()
        digest.update(f"{path}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _key_file(cache: Path) -> Path:
    return cache.with_suffix(".key")


def _cached(cache: Path, key: str, shape: tuple[int, ...]) -> NDArray[np.uint8] | None:
    """Return the pixels if they were kept under this key; damage counts as absence."""
    try:
        kept_key, kept_hash = _key_file(cache).read_text(encoding="ascii").split()
        raw = cache.read_bytes()
        if kept_key != key or kept_hash != hashlib.sha256(raw).hexdigest():
            return None
        pixels_NCHW: NDArray[np.uint8] = np.load(BytesIO(raw), allow_pickle=False)
    except (OSError, ValueError):
        return None
    return pixels_NCHW if pixels_NCHW.shape == shape else None


def _keep(cache: Path, key: str, pixels_NCHW: NDArray[np.uint8]) -> None:
    buffer = BytesIO()
    np.save(buffer, pixels_NCHW, allow_pickle=False)
    raw = buffer.getvalue()
    try:
        write_whole(cache, raw)
        write_whole(_key_file(cache), f"{key} {hashlib.sha256(raw).hexdigest()}\n".encode())
    except OSError:
        # A folder that may only be read still serves, only slower.
        return
