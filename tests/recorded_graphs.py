"""CUDA graphs as the CPU can have them: operations that are recorded, and repeated on the same
tensors.

As on a GPU nothing of a recording has an effect but what is repeated: tensors that were written are
put back, and numbers of Python stay as they were recorded.
"""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

T = TypeVar("T")

_UNSAID = {"native_batch_norm": ("running_mean", "running_var")}  # written, but not by the schema
_WAITING = {"_local_scalar_dense", "nonzero", "is_nonzero", "masked_select", "equal"}


class RecordedGraphs:
    """See `experiments.training.capture.graphs.Graphs`. num_recorded: calls of `record`."""

    def __init__(self) -> None:
        self.num_recorded = 0

    def record(
        self, work: Callable[[], T], generators: Iterable[torch.Generator] = ()
    ) -> tuple[T, Callable[[], None]]:
        self.num_recorded += 1
        recorder = _Recorder()
        drawn = [torch.default_generator, *generators]
        states = [generator.get_state() for generator in drawn]
        with recorder:
            result = work()
        recorder.put_back()
        for generator, state in zip(drawn, states, strict=True):
            generator.set_state(state)
        return result, recorder.repeat

    @contextmanager
    def waits(self) -> Iterator[list[str]]:
        places: list[str] = []
        with _Waits(places):
            yield places


@dataclass(frozen=True, kw_only=True)
class _Operation:
    function: Any
    arguments: Sequence[Any]
    options: Mapping[str, Any]
    result: Any
    writes: bool


class _Recorder(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()
        self._operations: list[_Operation] = []
        self._made: set[int] = set()
        self._before: dict[int, tuple[torch.UntypedStorage, torch.UntypedStorage]] = {}

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), options: Any = None
    ) -> Any:
        options = options or {}
        if _name(function) in _WAITING:
            raise RuntimeError(f"operation not permitted when stream is capturing: {function}")
        written = _written(function, arguments, options)
        for tensor in written:
            self._keep(tensor)
        result = function(*arguments, **options)
        operation = _Operation(
            function=function,
            arguments=arguments,
            options=options,
            result=result,
            writes=bool(written) and _name(function) not in _UNSAID,
        )
        self._operations.append(operation)
        given = {_place(t) for t in _tensors((arguments, options))}
        self._made |= {_place(t) for t in _tensors(result)} - given
        return result

    def put_back(self) -> None:
        """Undo what was written in tensors that were there before."""
        for storage, before in self._before.values():
            storage.copy_(before)

    @torch.no_grad()
    def repeat(self) -> None:
        """Do all operations again, into the same tensors."""
        for operation in self._operations:
            given = {_place(t) for t in _tensors((operation.arguments, operation.options))}
            results = list(_tensors(operation.result))
            if not operation.writes and results and all(_place(t) in given for t in results):
                continue  # a view
            made = operation.function(*operation.arguments, **operation.options)
            if not operation.writes:
                for old, new in zip(results, _tensors(made), strict=True):
                    old.detach().copy_(new)

    def _keep(self, tensor: Tensor) -> None:
        place = _place(tensor)
        if place not in self._made and place not in self._before:
            storage = tensor.untyped_storage()
            self._before[place] = (storage, storage.clone())


class _Waits(TorchDispatchMode):
    def __init__(self, places: list[str]) -> None:
        super().__init__()
        self._places = places

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), options: Any = None
    ) -> Any:
        if _name(function) in _WAITING:
            own = (Path(__file__), Path(torch.__file__).parent)
            frames = [f for f in traceback.extract_stack() if not _is_of(f.filename, own)]
            self._places.append(f"{Path(frames[-1].filename).name}:{frames[-1].lineno}")
        return function(*arguments, **(options or {}))


def _is_of(filename: str, places: Sequence[Path]) -> bool:
    return any(Path(filename).is_relative_to(place) for place in places)


def _name(function: Any) -> str:
    return str(function.overloadpacket.__name__)


def _tensors(value: Any) -> Iterator[Tensor]:
    yield from (leaf for leaf in tree_leaves(value) if isinstance(leaf, Tensor))


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _written(function: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> list[Tensor]:
    """Return the tensors among the arguments that an operation writes."""
    found: list[Tensor] = []
    for index, argument in enumerate(function._schema.arguments):
        info = argument.alias_info
        is_unsaid = argument.name in _UNSAID.get(_name(function), ())
        if is_unsaid or (info is not None and info.is_write):
            given = arguments[index] if index < len(arguments) else options.get(argument.name)
            found += _tensors(given)
    return found
