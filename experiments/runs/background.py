"""Work on the side, one piece at a time, whose errors are not lost."""

from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from torch import Tensor


class Background:
    """Runs one piece of work beside the caller; the next waits for it, and raises its error."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="background")
        self._pending: Future[None] | None = None

    def start(self, work: Callable[[], None]) -> None:
        """Wait for the piece before, then start this one."""
        self.wait()
        self._pending = self._executor.submit(work)

    def wait(self) -> None:
        """Wait for the piece under way. Raises what it raised."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()


def frozen(value: Any) -> Any:
    """Return nested plain data with every tensor copied, so that training cannot change it. Copies
    stay on their device, which does not make anyone wait."""
    return _with_tensors(value, lambda tensor: tensor.detach().clone())


def to_cpu(value: Any) -> Any:
    """Return nested plain data with every tensor on the CPU."""
    return _with_tensors(value, lambda tensor: tensor.detach().cpu())


def _with_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, Tensor):
        return change(value)
    if isinstance(value, dict):
        items = {key: _with_tensors(item, change) for key, item in value.items()}
        metadata = getattr(value, "_metadata", None)  # of torch, about a network's state
        if metadata is None:
            return items
        state = OrderedDict(items)
        state._metadata = metadata  # type: ignore[attr-defined]
        return state
    if isinstance(value, list | tuple):
        return type(value)(_with_tensors(item, change) for item in value)
    return value
