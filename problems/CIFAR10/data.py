"""CIFAR-10, from the official batches for Python (verified, and read without running them) or from
an image folder `train/<class>/<image>`, `test/<class>/<image>`.

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.protocols import Data, InMemory, Source
from problems.images.download import download_by_torchvision
from problems.images.files import check_md5, download_folder, read, write_whole
from problems.images.folder import check_same_classes, decode, scan_folder
from problems.images.synthetic import synthetic_images
from problems.images.unpickle import load_arrays
from quantlab.errors import DataError

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
IMAGE_SHAPE = (3, 32, 32)

TEST_BATCH = "test_batch"
TRAIN_BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
# The MD5 of the official files.
MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    TEST_BATCH: "40351d587109b95175f43aff81a1287e",
}
BATCHES = "cifar-10-batches-py"
ARCHIVE = "cifar-10-python.tar.gz"

_COMMAND = "python main.py data --problem=CIFAR10"


def load(folder: Path, source: Source) -> Data:
    """Return the photos `[50000, 3, 32, 32]` and `[10000, 3, 32, 32]`, uint8. Raises DataError."""
    if source == "synthetic":
        return synthetic_images(CLASSES, image_shape=IMAGE_SHAPE, num_train=10000, num_test=2000)
    if not _is_there(folder):
        if source == "folder":
            raise DataError(f"CIFAR10: no data in {folder}; run: {_COMMAND}; or {_by_hand(folder)}")
        fetch(folder)
    return _read(folder)


def fetch(folder: Path) -> str:
    """Bring the official batches into `folder` by torchvision's download, unless whole data is
    there. Raises DataError.
    """
    if _is_there(folder):
        try:
            return _summary(_read(folder))
        except DataError:
            # Damaged batches are fetched anew; an image folder is for its owner to repair.
            if not _has_batches(folder):
                raise
    try:
        with download_folder(folder) as temporary:
            for name, raw in _download(temporary).items():
                check_md5(raw, MD5[name], f"the fetched {name}")
                write_whole(folder / BATCHES / name, raw)
    except DataError as error:
        raise DataError(f"CIFAR10 could not be fetched: {error}; {_by_hand(folder)}") from error
    return _summary(_read(folder))


def parse_batch(raw: bytes, name: Path | str) -> InMemory:
    """Return photos and labels of one official batch. Raises DataError if it has none."""
    content = load_arrays(raw, name)
    images = _entry(content, b"data", name)
    labels = _entry(content, b"labels", name)
    size = int(np.prod(IMAGE_SHAPE))
    is_whole = (
        isinstance(images, np.ndarray)
        and images.dtype == np.uint8
        and images.shape == (len(labels), size)
        and all(isinstance(label, int) and 0 <= label < len(CLASSES) for label in labels)
    )
    if not is_whole:
        raise DataError(
            f"{name}: expected bytes of shape [{len(labels)}, {size}] and as many labels 0..9"
        )
    return InMemory(
        inputs=torch.from_numpy(images.reshape(-1, *IMAGE_SHAPE).copy()),
        targets=torch.tensor(labels, dtype=torch.int64),
        classes=CLASSES,
    )


def _entry(content: Any, key: bytes, name: Path | str) -> Any:
    if not isinstance(content, dict) or key not in content or not hasattr(content[key], "__len__"):
        raise DataError(f"{name}: no entry '{key.decode()}'; expected a batch of CIFAR-10")
    return content[key]


def _has_batches(folder: Path) -> bool:
    return (folder / BATCHES).is_dir() or (folder / ARCHIVE).is_file()


def _has_images(folder: Path) -> bool:
    return (folder / "train").is_dir() and (folder / "test").is_dir()


def _is_there(folder: Path) -> bool:
    return _has_batches(folder) or _has_images(folder)


def _read(folder: Path) -> Data:
    return _read_batches(folder) if _has_batches(folder) else _read_images(folder)


def _read_batches(folder: Path) -> Data:
    batches = {
        name: parse_batch(raw, folder / BATCHES / name)
        for name, raw in _official_files(folder).items()
    }
    train = [batches[name] for name in TRAIN_BATCHES]
    return Data(
        train=InMemory(
            inputs=torch.cat([batch.inputs for batch in train]),
            targets=torch.cat([batch.targets for batch in train]),
            classes=CLASSES,
        ),
        test=batches[TEST_BATCH],
        source=f"CIFAR-10, official batches in {folder}",
    )


def _official_files(folder: Path) -> dict[str, bytes]:
    """Return the verified content of the six files, out of their folder or the archive."""
    if (folder / BATCHES).is_dir():
        files = {name: read(folder / BATCHES / name) for name in MD5}
    else:
        files = _unpack(folder / ARCHIVE)
    for name, raw in files.items():
        check_md5(raw, MD5[name], folder / BATCHES / name)
    return files


def _unpack(archive: Path) -> dict[str, bytes]:
    """Return the files of an archive by name; nothing is written to the disk."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = Path(member.name).name
                content = tar.extractfile(member) if name in MD5 else None
                if content is not None:
                    files[name] = content.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(
            f"{archive}: cannot be unpacked ({error}); delete it and fetch it again"
        ) from error
    missing = [name for name in MD5 if name not in files]
    if missing:
        raise DataError(f"{archive}: lacks {', '.join(missing)}; delete it and fetch it again")
    return files


def _read_images(folder: Path) -> Data:
    train, test = scan_folder(folder / "train"), scan_folder(folder / "test")
    check_same_classes(train, test)
    size = IMAGE_SHAPE[1:]
    return Data(
        train=decode(train, size=size, cache=folder / ".pixels-train.npy"),
        test=decode(test, size=size, cache=folder / ".pixels-test.npy"),
        source=f"CIFAR10 from image folders in {folder}{train.remark}{test.remark}",
    )


def _download(temporary: Path) -> dict[str, bytes]:
    download_by_torchvision("CIFAR10", temporary)
    return {name: read(temporary / BATCHES / name) for name in MD5}


def _summary(data: Data) -> str:
    return f"{data.source}: {len(data.train)} + {len(data.test)} images"


def _by_hand(folder: Path) -> str:
    return (
        f"put {BATCHES}/ or {ARCHIVE} (official), or train/<class>/<image> and "
        f"test/<class>/<image>, into {folder}"
    )
