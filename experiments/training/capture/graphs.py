"""CUDA graphs: work on the GPU that is recorded once and launched with one call.

A recorded step takes the GPU's time, not that of the processor that launches its kernels one by
one. What it reads and writes keeps its address.
"""

import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch

T = TypeVar("T")

_LIBRARY = Path(torch.__file__).parent
_STANDARD = Path(warnings.__file__).parent
_WAITS = "called a synchronizing"  # in torch's warning


class Graphs(Protocol):
    """Records work on a device."""

    def record(
        self, work: Callable[[], T], generators: Iterable[torch.Generator] = ()
    ) -> tuple[T, Callable[[], None]]:
        """Return what `work` returned, and a function that does the same operations again on the
        same addresses. Nothing is computed before it is called.

        generators: those that it draws from, beside the device's own. Raises RuntimeError for work
        that cannot be recorded.
        """

    def waits(self) -> AbstractContextManager[list[str]]:
        """Gather, while the context lasts, the places in the code that wait for the device."""


def graphs_of(device: torch.device) -> Graphs | None:
    """Return what records work on a device, None where nothing does."""
    return CudaGraphs() if device.type == "cuda" else None


class CudaGraphs:
    """See `Graphs`."""

    def record(
        self, work: Callable[[], T], generators: Iterable[torch.Generator] = ()
    ) -> tuple[T, Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        for generator in generators:
            graph.register_generator_state(generator)
        cause: RuntimeError | None = None
        try:
            # Other threads, writing checkpoints say, may go on meanwhile.
            with torch.cuda.graph(graph, capture_error_mode="thread_local"):
                try:
                    result = work()
                except RuntimeError as error:
                    cause = error  # ending the capture raises another, which says less
                    raise
        except RuntimeError as error:
            _end_recording()
            raise cause or error from None
        # Recording begins by setting the generators' offsets on a stream of its own. Where others
        # keep the GPU busy, that would come after the first replay has set them.
        torch.cuda.synchronize()
        return result, graph.replay

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        found: list[str] = []

        def note(message: Any, category: type[Warning], *args: Any, **kwargs: Any) -> None:
            if _WAITS in str(message):
                found.append(_place())
            elif "Synchronization debug mode" not in str(message):
                shown(message, category, *args, **kwargs)

        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings():
            shown, warnings.showwarning = warnings.showwarning, note
            warnings.simplefilter("always")
            torch.cuda.set_sync_debug_mode("warn")
            try:
                yield found
            finally:
                torch.cuda.set_sync_debug_mode(before)


def _end_recording() -> None:
    """Record next to nothing: a recording that failed leaves torch's generator within it, and the
    next draw outside fails."""
    with torch.cuda.graph(torch.cuda.CUDAGraph(), capture_error_mode="thread_local"):
        torch.zeros((), device="cuda")


def _place() -> str:
    """Return the line that called torch."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        is_python = path == Path(__file__) or path.parent == _STANDARD
        if not is_python and not path.is_relative_to(_LIBRARY):
            shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
            return f"{shown}:{frame.lineno}: {frame.line}"
    return "torch"
