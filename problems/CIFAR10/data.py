"""CIFAR-10, from the official batches for Python or from an image folder;
`problems/images/cifar.py` reads both."""

from pathlib import Path

from experiments.protocols import Data, Source
from problems.images.cifar import Cifar

FILES = Cifar(
    problem="CIFAR10",
    title="CIFAR-10",
    classes=(
        *("airplane", "automobile", "bird", "cat", "deer"),
        *("dog", "frog", "horse", "ship", "truck"),
    ),
    labels="labels",
    folder="cifar-10-batches-py",
    archive="cifar-10-python.tar.gz",
    train=tuple(f"data_batch_{number}" for number in range(1, 6)),
    test="test_batch",
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
)


def load(folder: Path, source: Source) -> Data:
    """Return the photos `[50000, 3, 32, 32]` and `[10000, 3, 32, 32]`, uint8. Raises DataError."""
    return FILES.load(folder, source)


def fetch(folder: Path) -> str:
    """Bring the official batches into `folder` unless whole data is there. Raises DataError."""
    return FILES.fetch(folder)
