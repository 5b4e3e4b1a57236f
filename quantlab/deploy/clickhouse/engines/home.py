"""Folders of chDB: this process's alone, prepared with its configuration."""

import shutil
from pathlib import Path
from tempfile import mkdtemp
from weakref import WeakValueDictionary, finalize

from quantlab.deploy.clickhouse.engines.lock import Lock
from quantlab.deploy.clickhouse.engines.settings import CONFIG, CONFIG_FILE
from quantlab.errors import UsageError
from quantlab.files import write_atomically


class Home:
    """A folder that is locked as long as anything holds this object.

    is_scratch: whether it is removed then.
    """

    def __init__(self, folder: Path, *, is_scratch: bool = False) -> None:
        """Raises UsageError for a path that chDB cannot take, and while another process or this one
        has the folder; OSError."""
        if any(letter in str(folder) for letter in "?&#%\0\n"):
            raise UsageError(f"folder: {str(folder)!r} given, a path without ?, &, # and % allowed")
        self.folder = folder.absolute()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"{self.folder}: no folder; choose another one") from error
        self._end = finalize(self, _end, Lock(self.folder), self.folder if is_scratch else None)
        config = self.folder / CONFIG_FILE
        if not config.is_file() or config.read_bytes() != CONFIG:
            write_atomically(config, CONFIG)

    @property
    def address(self) -> str:
        """What chDB is opened with."""
        return f"{self.folder}?config-file={self.folder / CONFIG_FILE}"


_SCRATCH: WeakValueDictionary[str, Home] = WeakValueDictionary()


def scratch() -> Home:
    """Return a temporary folder, the same one for all who hold it: chDB has one a process."""
    home = _SCRATCH.get("scratch")
    if home is None:
        home = _SCRATCH["scratch"] = Home(Path(mkdtemp(prefix="quantlab-")), is_scratch=True)
    return home


def _end(lock: Lock, removed: Path | None) -> None:
    lock.release()
    if removed is not None:
        shutil.rmtree(removed, ignore_errors=True)
