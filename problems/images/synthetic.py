"""Images made up from a seed: a pattern for each class, moved and covered with noise.

They stand in for a data set that a machine lacks: shapes, types and class counts are the real ones
and a network learns them, but no figure measured on them says anything about the real data. So the
source of whatever they make always starts with `synthetic`.

Shapes: N images, C channels, H x W pixels, G x G cells of a class's pattern.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.protocols import Data, InMemory

if TYPE_CHECKING:  # images in memory need none of it
    from PIL.Image import Image

_GRID = 7
_NOISE = 40
_SHIFT = 2


def synthetic_images(
    classes: Sequence[str],
    *,
    image_shape: tuple[int, int, int],
    num_train: int,
    num_test: int,
    seed: int = 0,
) -> Data:
    """Return uint8 images of `image_shape` (C, H, W) in memory; equal arguments, equal images."""
    return Data(
        train=_in_memory(classes, image_shape, num_train, seed, split=0),
        test=_in_memory(classes, image_shape, num_test, seed, split=1),
        source=_source(classes, num_train, num_test, seed),
    )


def synthetic_photos(
    classes: Sequence[str], *, size: int, num_train: int, num_test: int, seed: int = 0
) -> Data:
    """Return RGB photos of `size` x `size` pixels, made up one by one as they are read."""
    return Data(
        train=_photos(classes, size, num_train, seed, split=0),
        test=_photos(classes, size, num_test, seed, split=1),
        source=_source(classes, num_train, num_test, seed),
    )


@dataclass(frozen=True, kw_only=True)
class SyntheticPhotos:
    """Photos on no disk: `read` makes number `index` up. Fulfils `OnDisk`."""

    targets: Tensor
    classes: Sequence[str]
    size: int
    seed: int
    split: int

    def __len__(self) -> int:
        return len(self.targets)

    def read(self, index: int) -> "Image":
        from PIL import Image

        target = int(self.targets[index])
        pattern = np.random.default_rng([self.seed, target]).integers(0, 256, (_GRID, _GRID, 3))
        noise = np.random.default_rng([self.seed, target, self.split, index])
        noisy = pattern + noise.integers(-_NOISE, _NOISE + 1, pattern.shape)
        image = Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))
        return image.resize((self.size, self.size), Image.Resampling.NEAREST)


def _photos(
    classes: Sequence[str], size: int, num_samples: int, seed: int, *, split: int
) -> SyntheticPhotos:
    targets = torch.from_numpy(_targets(len(classes), num_samples, seed, split))
    return SyntheticPhotos(targets=targets, classes=classes, size=size, seed=seed, split=split)


def _in_memory(
    classes: Sequence[str],
    image_shape: tuple[int, int, int],
    num_samples: int,
    seed: int,
    *,
    split: int,
) -> InMemory:
    channels, height, width = image_shape
    targets_N = _targets(len(classes), num_samples, seed, split)
    # Patterns depend on the seed only: training and test samples share them.
    cells_KCGG = np.random.default_rng([seed, len(classes)]).integers(
        0, 256, (len(classes), channels, _GRID, _GRID)
    )
    rows_H, columns_W = (np.arange(side) * _GRID // side for side in (height, width))
    patterns_KCHW = cells_KCGG[:, :, rows_H][:, :, :, columns_W].astype(np.int16)
    shifts_2N = np.random.default_rng([seed, split, 1]).integers(
        -_SHIFT, _SHIFT + 1, (2, num_samples)
    )
    images_NCHW = _moved(patterns_KCHW)[targets_N, *(shifts_2N + _SHIFT)]
    random = np.random.default_rng([seed, split, 2])
    images_NCHW += random.integers(-_NOISE, _NOISE + 1, images_NCHW.shape, dtype=np.int16)
    return InMemory(
        inputs=torch.from_numpy(np.clip(images_NCHW, 0, 255).astype(np.uint8)),
        targets=torch.from_numpy(targets_N),
        classes=tuple(classes),
    )


def _moved(x_KCHW: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return each pattern rolled by every shift of up to `_SHIFT` pixels along both axes,
    `[K, shifts, shifts, C, H, W]`."""
    shifts = range(-_SHIFT, _SHIFT + 1)
    return np.stack(
        [np.stack([np.roll(x_KCHW, (y, x), (2, 3)) for x in shifts], 1) for y in shifts], 1
    )


def _targets(num_classes: int, num_samples: int, seed: int, split: int) -> NDArray[np.int64]:
    """Return every class equally often (to within one), in random order."""
    ordered = np.arange(num_samples, dtype=np.int64) % num_classes
    return np.random.default_rng([seed, split]).permutation(ordered)


def _source(classes: Sequence[str], num_train: int, num_test: int, seed: int) -> str:
    return (
        f"synthetic images of {len(classes)} classes, {num_train} to train and {num_test} to test, "
        f"seed {seed}"
    )
