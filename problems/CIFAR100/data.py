"""CIFAR-100 with its 100 fine classes, from the official batches for Python or from an image
folder; `problems/images/cifar.py` reads both."""

from pathlib import Path

from experiments.protocols import Data, Source
from problems.images.cifar import Cifar

# fmt: off
_CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup",
    "dinosaur", "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house",
    "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man",
    "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange", "orchid",
    "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy",
    "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal",
    "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar",
    "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman",
    "worm",
)
# fmt: on

FILES = Cifar(
    problem="CIFAR100",
    title="CIFAR-100",
    classes=_CLASSES,
    labels="fine_labels",
    folder="cifar-100-python",
    archive="cifar-100-python.tar.gz",
    train=("train",),
    test="test",
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
)


def load(folder: Path, source: Source) -> Data:
    """Return the photos `[50000, 3, 32, 32]` and `[10000, 3, 32, 32]`, uint8. Raises DataError."""
    return FILES.load(folder, source)


def fetch(folder: Path) -> str:
    """Bring the official batches into `folder` unless whole data is there. Raises DataError."""
    return FILES.fetch(folder)
