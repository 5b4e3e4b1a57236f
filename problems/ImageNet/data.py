"""ImageNet, from image folders `train/<wnid>/<photo>` and `val/<wnid>/<photo>`; photos are read one
by one. It cannot be fetched: its license asks each user to sign.

Source: O. Russakovsky et al., "ImageNet large scale visual recognition challenge", 2014.
"""

from pathlib import Path

from experiments.protocols import Data, Source
from problems.images.folder import check_same_classes, scan_folder
from problems.images.synthetic import synthetic_photos
from quantlab.errors import DataError

NUM_CLASSES = 1000
# Below the data folder, the photos may lie in a folder of one of these names.
_PARTS = ("", "imagenet", "imagenet_sample")

_SYNTHETIC_SIZE = 232


def load(folder: Path, source: Source) -> Data:
    """Return the photos as image folders.

    Where only `val` is there (a sample, to try things out), its photos both train and test, and
    `source` says so: hold some out with `data.valid_fraction`. Raises DataError.
    """
    if source == "synthetic":
        classes = tuple(f"class{number:04d}" for number in range(NUM_CLASSES))
        return synthetic_photos(classes, size=_SYNTHETIC_SIZE, num_train=10000, num_test=2000)
    return _read(_locate(folder))


def fetch(folder: Path) -> str:
    """Say what lies in `folder`. Raises DataError with the expected layout if nothing does."""
    data = _read(_locate(folder))
    return (
        f"{data.source}: {len(data.train)} photos to train and {len(data.test)} to test, "
        f"{len(data.test.classes)} classes"
    )


def _locate(folder: Path) -> Path:
    for part in _PARTS:
        if (folder / part / "val").is_dir():
            return folder / part
    raise DataError(
        f"ImageNet: no data in {folder}; it cannot be fetched: get the photos from its makers and "
        f"put them there as train/<wnid>/<photo> and val/<wnid>/<photo> (a sample: val alone)"
    )


def _read(root: Path) -> Data:
    test = scan_folder(root / "val")
    if not (root / "train").is_dir():
        source = f"ImageNet photos in {root}, val only: the same photos train and test{test.remark}"
        return Data(train=test, test=test, source=source)
    train = scan_folder(root / "train")
    check_same_classes(train, test)
    source = f"ImageNet photos in {root}{train.remark}{test.remark}"
    return Data(train=train, test=test, source=source)
