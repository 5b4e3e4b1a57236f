"""Finds what would wait for a GPU, without one.

    with no_waiting():
        ...  # a training step

Inside, tensors of the CPU stand for those of a GPU, whose device is DEVICE, but for tensors that
are made inside without a device: these are the processor's own. An operation that would wait for
the GPU, or that copies between it and the processor, raises `Waited` with its name and the line
that asked for it, in backward passes too. (Copies of pageable memory cannot be part of a CUDA graph
either.)
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import _engine_run_backward
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_TORCH = str(Path(torch.__file__).parent)
DEVICE = torch.device("cpu", 0)  # not equal to torch.device("cpu")

# By the names of the operations: the result's size is a number of the processor, or all of it.
_WAITING = {
    "_local_scalar_dense",
    "is_nonzero",
    "nonzero",
    "nonzero_numpy",
    "masked_select",
    "unique",
    "_unique",
    "_unique2",
    "unique_dim",
    "unique_consecutive",
    "unique_dim_consecutive",
    "equal",
    "allclose",
    "bincount",
    "repeat_interleave",
    "_linalg_check_errors",
    "_ctc_loss",
    "to_sparse",
    "_to_sparse",
}
_INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
_COPYING = {"copy_", "copy"}
_READING = {"cpu", "numpy", "tolist", "__array__"}  # of the processor, unseen by dispatch
_FRESH = {"lift_fresh"}  # what torch makes of numbers of Python
_MAKING = {"tensor", "as_tensor", "asarray", "new_tensor"}  # of numbers of Python


class Waited(AssertionError):
    """An operation that waits for the GPU. No RuntimeError: nobody who takes those takes it."""

    def __init__(self, operation: str, reason: str) -> None:
        super().__init__(f"{operation}: {reason}, asked for at {_asker()}")


@contextmanager
def no_waiting() -> Iterator[None]:
    """Raise Waited for what would wait for a GPU inside."""
    own = _Own()
    with _Dispatched(own), _Called(own):
        yield


class OnDevice:
    """Batches of the device: nothing may wait from the first of them to the end of the last."""

    def __init__(self, batches: Sequence[Any]) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        with no_waiting():
            yield from self._batches

    def __len__(self) -> int:
        return len(self._batches)


class _Own:
    """The storages of the processor's own tensors. They are kept, so that none takes the address of
    another.

    is_called: from Python, not from a backward pass of torch. is_filling: a number of Python is
    assigned, which a GPU fills in.
    """

    def __init__(self) -> None:
        self._storages: dict[int, torch.UntypedStorage] = {}
        self.is_filling = False
        self.is_called = False

    def add(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        self._storages[storage._cdata] = storage

    def has(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._storages

    def is_on_device(self, value: object) -> bool:
        return isinstance(value, Tensor) and not self.has(value)


class _Called(TorchFunctionMode):
    """What Python asks of tensors: their device, and copies to and from the processor."""

    def __init__(self, own: _Own) -> None:
        super().__init__()
        self._own = own

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func is Tensor.backward:
            with self:  # so that it sees the functions called in it
                return _backward(*args, **kwargs)
        name = getattr(func, "__name__", "")
        first = args[0] if args else None
        if name == "__get__":
            found = func(*args, **kwargs)
            is_device = isinstance(found, torch.device)
            return DEVICE if is_device and self._own.is_on_device(first) else found
        if name in _READING and self._own.is_on_device(first):
            raise Waited(name, "reads a tensor of the device")
        if name in _MAKING and self._is_made_on_device(name, args, kwargs):
            raise Waited(name, "copies numbers of Python to the device")
        # torch itself sorts tensors by the device that they truly have.
        is_of_torch = sys._getframe(1).f_code.co_filename.startswith(_TORCH)
        if name == "to" and not is_of_torch and self._is_moved(args, kwargs):
            raise Waited(name, "copies between the device and the processor")
        if name in ("__getitem__", "__setitem__") and self._own.is_on_device(first):
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            if any(isinstance(place, list | np.ndarray) for place in places):
                raise Waited(name, "copies places to the device")
            self._own.is_filling = name == "__setitem__" and not isinstance(args[2], Tensor)
        self._own.is_called = True
        try:
            return func(*args, **kwargs)
        finally:
            self._own.is_filling = self._own.is_called = False

    def _is_made_on_device(self, name: str, args: Any, kwargs: Mapping[str, Any]) -> bool:
        data = args[1] if name == "new_tensor" else (args or (kwargs.get("data"),))[0]
        if isinstance(data, Tensor):
            return False
        if name == "new_tensor" and kwargs.get("device") is None:
            return self._own.is_on_device(args[0])
        return _is_device(kwargs.get("device"))

    def _is_moved(self, args: Any, kwargs: Mapping[str, Any]) -> bool:
        tensor, *rest = args
        if any(isinstance(one, Tensor) for one in (*rest, kwargs.get("other"))):
            other = next(one for one in (*rest, kwargs.get("other")) if isinstance(one, Tensor))
            return self._own.has(tensor) != self._own.has(other)
        known = {k: v for k, v in kwargs.items() if k in ("device", "dtype", "non_blocking")}
        device = torch._C._nn._parse_to(*rest[:3], **known)[0]
        return device is not None and self._own.has(tensor) == _is_device(device)


class _Dispatched(TorchDispatchMode):
    """All that is computed, by torch itself too."""

    def __init__(self, own: _Own) -> None:
        super().__init__()
        self._own = own

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Skipping it imports it, which takes as long as importing torch."""
        return False

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        given = [one for one in tree_leaves((args, kwargs)) if isinstance(one, Tensor)]
        name = func.overloadpacket.__name__
        if name in _FRESH:
            self._own.add(given[0])
        is_on_device = any(self._own.is_on_device(one) for one in given)
        if is_on_device:
            self._check(name, args)
        results = func(*args, **kwargs)
        if not is_on_device and not self._is_of_device(given, kwargs):
            for one in tree_leaves(results):
                if isinstance(one, Tensor):
                    self._own.add(one)
        return results

    def _is_of_device(self, given: Sequence[Tensor], kwargs: Mapping[str, Any]) -> bool:
        """Return whether a tensor that is made of none is the device's: torch makes gradients of
        zeros where they belong."""
        is_of_torch = torch._C._current_graph_task_id() != -1 and not self._own.is_called
        return not given and (is_of_torch or _is_device(kwargs.get("device")))

    def _check(self, name: str, args: tuple[Any, ...]) -> None:
        if name in _WAITING:
            raise Waited(name, "waits for the device")
        if name in _INDEXING:
            for place in args[1]:
                if place is not None and place.dtype in (torch.bool, torch.uint8):
                    raise Waited(name, "counts the places of a mask")
                if place is not None and self._own.has(place) and self._own.is_on_device(args[0]):
                    raise Waited(name, "copies places to the device")
        if name in _COPYING and not self._own.is_filling:
            to, source = args[:2]
            if self._own.has(to) != self._own.has(source):
                raise Waited(name, "copies between the device and the processor")


def _backward(
    tensor: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool = False,
    create_graph: bool = False,
    inputs: None = None,
) -> None:
    """What Tensor.backward does, past torch.autograd.backward, which modes are asked about too."""
    first = torch.ones_like(tensor) if gradient is None else gradient
    is_kept = retain_graph or create_graph
    _engine_run_backward((tensor,), (first,), is_kept, create_graph, (), True, accumulate_grad=True)


def _is_device(given: Any) -> bool:
    return given is not None and torch.device(given) == DEVICE


def _asker() -> str:
    """Return the innermost line outside of torch and of this file."""
    own = (_TORCH, __file__)
    frames = [frame for frame in traceback.extract_stack() if not frame.filename.startswith(own)]
    return f"{frames[-1].filename}:{frames[-1].lineno}"
