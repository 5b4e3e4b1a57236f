"""The data set of a run, on all its processes."""

from experiments.data.checks import check_data
from experiments.data.config import DataConfig
from experiments.library import Problem
from experiments.processes.communicator import Communicator
from experiments.protocols import Data, Source
from experiments.storage import ensure_links
from quantlab.errors import DataError


class _Reader:
    """Reads a data set once."""

    def __init__(self, problem: Problem, config: DataConfig) -> None:
        self._problem, self._config = problem, config
        self._data: Data | None = None

    def fetch(self) -> None:
        """Read it, and fetch it before where the configuration allows that."""
        ensure_links(self._problem)
        self._data = self._load(self._config.source)

    def read(self) -> Data:
        """Return what was fetched here, or read what another process has fetched."""
        return self._data or self._load("folder")

    def _load(self, source: Source) -> Data:
        return load_checked(self._problem, source)


def load_checked(problem: Problem, source: Source) -> Data:
    """Load a problem's data set, and see whether it can be trained on. Raises DataError."""
    try:
        data = problem.data.load(problem.data_folder, source)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        raise DataError(f"{problem.name}: {where}{error.strerror or error}") from error
    check_data(data, problem.name)
    if source == "synthetic" and not data.source.startswith("synthetic"):
        raise DataError(
            f"data.source: synthetic given, but {problem.name} makes no samples up: it loaded "
            f"{data.source}; auto and folder allowed"
        )
    return data


def load_data(problem: Problem, config: DataConfig, communicator: Communicator) -> Data:
    """Read the data set; rank 0 alone fetches what must be fetched, before the others look."""
    if config.source == "synthetic":
        return load_checked(problem, "synthetic")
    reader = _Reader(problem, config)
    communicator.from_root(reader.fetch)
    return communicator.on_all(reader.read)
