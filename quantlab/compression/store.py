"""Where a compression has come to, in a folder, so that it can go on after it was killed."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from quantlab.errors import UsageError
from quantlab.files import write_atomically

_IDENTITY = "compression.json"


class Store:
    """The states of the stages, each the last one of its epochs. folder: None keeps nothing."""

    def __init__(self, folder: Path | None, identity: Mapping[str, Any]) -> None:
        self._folder = folder
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        path, text = folder / _IDENTITY, json.dumps(identity, indent=2, sort_keys=True) + "\n"
        stored = path.read_text(encoding="utf-8") if path.exists() else text
        if stored != text:
            raise UsageError(f"{folder}: a compression with {_difference(stored, identity)}")
        write_atomically(path, text.encode())

    def load(self, stage: str, device: torch.device) -> dict[str, Any] | None:
        """Return the state of a stage, None without one. Raises UsageError for a damaged file."""
        path = self._path(stage)
        if path is None or not path.exists():
            return None
        data = path.read_bytes()
        digest, content = data[:64], data[64:]
        if hashlib.sha256(content).hexdigest().encode() != digest:
            raise UsageError(f"{path}: damaged; delete the folder to begin anew")
        state: dict[str, Any] = torch.load(
            io.BytesIO(content), map_location=device, weights_only=True
        )
        return state

    def save(self, stage: str, state: Mapping[str, Any]) -> None:
        """Keep the state of a stage in place of an earlier one."""
        path = self._path(stage)
        if path is None:
            return
        buffer = io.BytesIO()
        torch.save(dict(state), buffer)
        content = buffer.getvalue()
        write_atomically(path, hashlib.sha256(content).hexdigest().encode() + content)

    def _path(self, stage: str) -> Path | None:
        return None if self._folder is None else self._folder / f"{stage}.state"


def _difference(stored: str, identity: Mapping[str, Any]) -> str:
    """Return in which setting a stored compression differs."""
    try:
        before = json.loads(stored)
    except ValueError:
        before = None
    if not isinstance(before, dict):
        return "a damaged compression.json lies there; give another folder"
    given = json.loads(json.dumps(identity))  # which has lists for tuples
    names = [name for name in given if before.get(name) != given[name]]
    name = names[0] if names else "others"
    return (
        f"{name} {before.get(name)!r} lies there, {identity.get(name)!r} given; another folder, or "
        "the same settings, allowed"
    )


def digest_of(state: Mapping[str, torch.Tensor]) -> str:
    """Return the SHA-256 over the entries of a network's state, sorted by name."""
    found = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        found.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        found.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return found.hexdigest()
