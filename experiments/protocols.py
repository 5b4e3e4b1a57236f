"""What a problem, its meter and a topology library are, as far as the experiment manager knows.

Shapes: N samples of a batch, K draws of a sample, C classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor

Source = Literal["auto", "folder", "synthetic"]


@dataclass(frozen=True, kw_only=True)
class InMemory:
    """A data set that fits into memory; it may be moved to a GPU as a whole.

    inputs: `[num_samples, ...]`, usually uint8 images NCHW, or rows of a table.
    targets: `[num_samples]` int64, places of `classes`; or, as loss and meter take them,
        `[num_samples, ...]` of any type: numbers, several for each sample, boxes padded to as many.
    classes: their names; none if the targets are no classes.
    """

    inputs: Tensor
    targets: Tensor
    classes: Sequence[str]

    def __len__(self) -> int:
        return len(self.targets)


class OnDisk(Protocol):
    """A data set whose samples are read one by one, in loader workers.

    targets, classes: as of `InMemory`. Instances are sent to worker processes: keep them picklable.
    """

    @property
    def targets(self) -> Tensor: ...

    @property
    def classes(self) -> Sequence[str]: ...

    def __len__(self) -> int: ...

    def read(self, index: int) -> Any:
        """Return sample `index` as the library's `read_train` and `read_evaluate` take it."""


Dataset = InMemory | OnDisk


@dataclass(frozen=True, kw_only=True)
class Data:
    """The training and test samples of a problem. `source` says in words where they came from;
    whatever is not the real data starts with `synthetic`."""

    train: Dataset
    test: Dataset
    source: str


class DataModule(Protocol):
    """`problems/<Problem>/data.py`."""

    def load(self, folder: Path, source: Source) -> Data:
        """Read the data set. `folder` only looks into `folder`, `auto` fetches what is missing if
        the problem knows where from, `synthetic` makes samples up. Raises DataError."""

    def fetch(self, folder: Path) -> str:
        """Bring the data set into `folder` and verify it; return one line that says what is there.
        Raises DataError with what to do by hand."""


class RowsModule(DataModule, Protocol):
    """What `data.py` of a problem adds whose samples `predict` reads from files, such as rows."""

    def read_rows(self, path: Path) -> Tensor:
        """Return the samples in a file as raw inputs `[N, ...]`. Raises DataError."""


class FilesModule(DataModule, Protocol):
    """What `data.py` of a problem adds whose samples on disk are files that `predict` reads, but no
    images."""

    def read_file(self, path: Path) -> Any:
        """Return the sample in a file, as `read` of `OnDisk` does. Raises DataError."""


class Meter(Protocol):
    """`problems/<Problem>/meter.py` has a class Meter, created with the class names.

    Its state is a mapping of tensors that add up: the sum of the states of all shards is the state
    of the whole set, so shards merge exactly.
    """

    directions: Mapping[str, Literal["min", "max"]]

    def reset(self) -> None: ...

    def update(self, predictions: Tensor, targets: Tensor, loss: Tensor) -> None:
        """Add a batch: the library's postprocessed predictions, the targets `[N, ...]`, the mean
        loss (a scalar). Must not wait for the device."""

    def state(self) -> dict[str, Tensor]: ...

    def load_state(self, state: Mapping[str, Tensor]) -> None: ...

    def compute(self) -> Iterable[tuple[str, float]]:
        """Yield (metric name, value); names are the keys of `directions`."""


class Preprocess(Protocol):
    """`problems/<Problem>/<Topology>/preprocess.py`, a module of pure functions.

    Randomness comes in as `draws`, uniform numbers in [0, 1) that are a function of (seed, epoch,
    sample), so that augmentation depends on neither batch, worker nor device.

    A library that is to be deployed has a `NORMALIZATION` too: `Normalization` of
    problems/images/normalize.py, or `Standardization` of problems/tables/standardize.py.
    """

    NUM_DRAWS: int

    def train(self, inputs: Tensor, draws_NK: Tensor) -> Tensor:
        """Augment and normalize a raw batch, on whatever device it lies."""

    def evaluate(self, inputs: Tensor) -> Tensor:
        """Normalize a raw batch."""


class ReadingPreprocess(Preprocess, Protocol):
    """What a library for an OnDisk data set adds."""

    def read_train(self, sample: Any, draws_K: Sequence[float]) -> Tensor:
        """Turn one sample as read into a tensor of fixed shape, with augmentation."""

    def read_evaluate(self, sample: Any) -> Tensor:
        """Turn one sample as read into a tensor of fixed shape."""


class Postprocess(Protocol):
    """`problems/<Problem>/<Topology>/postprocess.py`."""

    def postprocess(self, outputs: Any) -> Tensor:
        """Turn the network's outputs into what the problem's meter takes, `[N, ...]`."""
