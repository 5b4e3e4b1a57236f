"""The CIFAR data sets: official batches for Python (verified, and read without running them), or an
image folder `train/<class>/<image>`, `test/<class>/<image>`.

Source: A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

import tarfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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

IMAGE_SHAPE = (3, 32, 32)


@dataclass(frozen=True, kw_only=True)
class Cifar:
    """One of the data sets and its official files.

    problem: its name here, which is torchvision's class. title: its name in words.
    classes: in the order of the labels. labels: the entry of a batch that has them.
    folder, archive: names of the official folder, and of the official archive that holds it.
    train, test: names of the batches. md5: of each batch.
    """

    problem: str
    title: str
    classes: Sequence[str]
    labels: str
    folder: str
    archive: str
    train: Sequence[str]
    test: str
    md5: Mapping[str, str]

    def load(self, folder: Path, source: Source) -> Data:
        """Return the photos `[50000, 3, 32, 32]` and `[10000, 3, 32, 32]`, uint8. Raises
        DataError."""
        if source == "synthetic":
            return synthetic_images(
                self.classes, image_shape=IMAGE_SHAPE, num_train=10000, num_test=2000
            )
        if not self._is_there(folder):
            if source == "folder":
                command = f"python main.py data --problem={self.problem}"
                raise DataError(
                    f"{self.problem}: no data in {folder}; run: {command}; "
                    f"or {self._by_hand(folder)}"
                )
            self.fetch(folder)
        return self._read(folder)

    def fetch(self, folder: Path) -> str:
        """Bring the official batches into `folder` by torchvision's download, unless whole data is
        there. Raises DataError.
        """
        if self._is_there(folder):
            try:
                return _summary(self._read(folder))
            except DataError:
                # Damaged batches are fetched anew; an image folder is for its owner to repair.
                if not self._has_batches(folder):
                    raise
        try:
            with download_folder(folder) as temporary:
                download_by_torchvision(self.problem, temporary)
                batches = {name: read(temporary / self.folder / name) for name in self.md5}
                for name, raw in batches.items():
                    check_md5(raw, self.md5[name], f"the fetched {name}")
                    write_whole(folder / self.folder / name, raw)
        except DataError as error:
            hint = self._by_hand(folder)
            raise DataError(f"{self.problem} could not be fetched: {error}; {hint}") from error
        return _summary(self._read(folder))

    def parse_batch(self, raw: bytes, name: Path | str) -> InMemory:
        """Return photos and labels of one official batch. Raises DataError if it has none."""
        content = load_arrays(raw, name)
        images = self._entry(content, "data", name)
        labels = self._entry(content, self.labels, name)
        size = int(np.prod(IMAGE_SHAPE))
        is_whole = (
            isinstance(images, np.ndarray)
            and images.dtype == np.uint8
            and images.shape == (len(labels), size)
            and all(isinstance(label, int) and 0 <= label < len(self.classes) for label in labels)
        )
        if not is_whole:
            raise DataError(
                f"{name}: expected bytes of shape [{len(labels)}, {size}] and as many labels "
                f"0..{len(self.classes) - 1}"
            )
        return InMemory(
            inputs=torch.from_numpy(images.reshape(-1, *IMAGE_SHAPE).copy()),
            targets=torch.tensor(labels, dtype=torch.int64),
            classes=self.classes,
        )

    def _entry(self, content: Any, name: str, batch: Path | str) -> Any:
        key = name.encode()
        is_there = isinstance(content, dict) and key in content
        if not is_there or not hasattr(content[key], "__len__"):
            raise DataError(f"{batch}: no entry '{name}'; expected a batch of {self.title}")
        return content[key]

    def _has_batches(self, folder: Path) -> bool:
        return (folder / self.folder).is_dir() or (folder / self.archive).is_file()

    def _is_there(self, folder: Path) -> bool:
        has_images = (folder / "train").is_dir() and (folder / "test").is_dir()
        return self._has_batches(folder) or has_images

    def _read(self, folder: Path) -> Data:
        if self._has_batches(folder):
            return self._read_batches(folder)
        return _read_images(folder, self.problem)

    def _read_batches(self, folder: Path) -> Data:
        batches = {
            name: self.parse_batch(raw, folder / self.folder / name)
            for name, raw in self._official_files(folder).items()
        }
        train = [batches[name] for name in self.train]
        return Data(
            train=InMemory(
                inputs=torch.cat([batch.inputs for batch in train]),
                targets=torch.cat([batch.targets for batch in train]),
                classes=self.classes,
            ),
            test=batches[self.test],
            source=f"{self.title}, official batches in {folder}",
        )

    def _official_files(self, folder: Path) -> dict[str, bytes]:
        """Return the verified content of the batches, out of their folder or the archive."""
        if (folder / self.folder).is_dir():
            files = {name: read(folder / self.folder / name) for name in self.md5}
        else:
            files = _unpack(folder / self.archive, self.md5)
        for name, raw in files.items():
            check_md5(raw, self.md5[name], folder / self.folder / name)
        return files

    def _by_hand(self, folder: Path) -> str:
        return (
            f"put {self.folder}/ or {self.archive} (official), or train/<class>/<image> and "
            f"test/<class>/<image>, into {folder}"
        )


def _unpack(archive: Path, names: Mapping[str, str]) -> dict[str, bytes]:
    """Return the named files of an archive; nothing is written to the disk."""
    files: dict[str, bytes] = {}
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for member in tar:
                name = Path(member.name).name
                content = tar.extractfile(member) if name in names else None
                if content is not None:
                    files[name] = content.read()
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise DataError(
            f"{archive}: cannot be unpacked ({error}); delete it and fetch it again"
        ) from error
    missing = [name for name in names if name not in files]
    if missing:
        raise DataError(f"{archive}: lacks {', '.join(missing)}; delete it and fetch it again")
    return files


def _read_images(folder: Path, problem: str) -> Data:
    train, test = scan_folder(folder / "train"), scan_folder(folder / "test")
    check_same_classes(train, test)
    size = IMAGE_SHAPE[1:]
    return Data(
        train=decode(train, size=size, cache=folder / ".pixels-train.npy"),
        test=decode(test, size=size, cache=folder / ".pixels-test.npy"),
        source=f"{problem} from image folders in {folder}{train.remark}{test.remark}",
    )


def _summary(data: Data) -> str:
    return f"{data.source}: {len(data.train)} + {len(data.test)} images"
