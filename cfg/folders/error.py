"""What goes wrong, and the file that says where the storages are."""

from __future__ import annotations

FILE = "cfg/hard_folders.json"


class StorageError(ValueError):
    """One line that says what is wrong and what to do; nothing was changed."""
