"""Memory of a training step: what autograd keeps for backward, and the most that was resident."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from quantlab.errors import UsageError

_PROCESS = "quantlab.memory.resident"

Step = Callable[[], object]


def saved_bytes(function: Step, *, includes_existing: bool = False) -> int:
    """Return the bytes of all memory that autograd saves for backward while a function runs.

    Memory that several saved tensors share counts once, and whole: autograd keeps all of it.
    Parameters, inputs and whatever else was there before the call do not count, unless
    `includes_existing`; new is what torch's operations allocated during the call.
    """
    saved: list[Tensor] = []

    def note(tensor: Tensor) -> Tensor:
        saved.append(tensor)  # also keeps its address from being given away again
        return tensor

    with _Allocations() as allocations, torch.autograd.graph.saved_tensors_hooks(note, _same):
        function()
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in saved}
    return sum(
        num_bytes
        for address, num_bytes in storages.items()
        if includes_existing or address in allocations.addresses
    )


def peak_bytes(prepare: Callable[[], Step]) -> int:
    """Return by how much a step raises the resident memory of a process, at its peak.

    prepare: makes all that is there before, and returns the step; a function of a module, or a
    `functools.partial` of one. It is called in a fresh process, with one arena of malloc, then the
    step once. peak = VmHWM after the step, counted from its beginning, - VmRSS before it, when
    what `prepare` has freed is given back to the system. Raises UsageError on other systems than
    Linux, and if the process fails.
    """
    if sys.platform != "linux":
        raise UsageError(f"peak_bytes: runs on {sys.platform}; linux, which has /proc, allowed")
    try:
        given = pickle.dumps(prepare)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"peak_bytes: {prepare} has no name to be found by in a process"
        ) from error
    done = subprocess.run(
        [sys.executable, "-m", _PROCESS],
        input=given,
        capture_output=True,
        env=_environment(),
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        raise UsageError(f"peak_bytes: the process failed: {reason}")
    return int(done.stdout)


class _Allocations(TorchDispatchMode):
    """Notes where the results of operations lie that share no memory with their arguments."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no types for it
        self.addresses: set[int] = set()

    def __torch_dispatch__(
        self,
        function: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        before = _addresses((args, kwargs))  # a tensor may be set to other memory
        results = function(*args, **(kwargs or {}))
        self.addresses |= _addresses(results) - before
        return results


def _addresses(tree: object) -> set[int]:
    tensors = [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
    return {t.untyped_storage().data_ptr() for t in tensors if t.layout == torch.strided}


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _environment() -> dict[str, str]:
    """Return this process's environment, with its import path and with one arena."""
    path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
    return {**os.environ, "PYTHONPATH": path, "MALLOC_ARENA_MAX": "1"}
