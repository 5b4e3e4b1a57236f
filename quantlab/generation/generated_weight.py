"""A generated weight as it is read: whoever writes into it is told that it does not stay."""

import copy
from collections.abc import Callable, Mapping, Sequence
from inspect import getattr_static
from typing import Any

import torch
from torch import Tensor

from quantlab.errors import UsageError

_MAY_END_SO = {"requires_grad_"}
_DATA: Any = getattr_static(Tensor, "data")


class GeneratedWeight(Tensor):
    """Computed from factors when it was read, so that what `nn.init` and others would write into it
    would be lost: they raise UsageError. What is computed from it is a plain Tensor."""

    @classmethod
    def of(cls, weight: Tensor) -> Tensor:
        """Return a weight as one, with its gradient; as it is where code is compiled."""
        return weight if torch.compiler.is_compiling() else weight.as_subclass(cls)

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        written = (*args[:1], kwargs.get("tensor")) if _writes(func) else (kwargs.get("out"),)
        if any(isinstance(one, cls) for one in written):
            raise UsageError(
                f"weight: {_name(func)} given for one that is generated anew whenever it is read; "
                "set basis, coeff_in and coeff_out, or call reset_parameters of the layer"
            )
        with torch._C.DisableTorchFunctionSubclass():
            result = func(*args, **kwargs)
            if func == _DATA.__get__:
                return result.as_subclass(cls)
            is_other = isinstance(result, cls) and result is not args[0]
            return result.as_subclass(Tensor) if is_other else result

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        with torch._C.DisableTorchFunctionSubclass():
            return copy.deepcopy(self.as_subclass(Tensor), memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        with torch._C.DisableTorchFunctionSubclass():
            return self.as_subclass(Tensor).__reduce_ex__(protocol)


def _writes(func: Callable[..., Any]) -> bool:
    """Return whether a function writes into its first argument."""
    name = getattr(func, "__name__", "")
    is_in_place = name.endswith("_") and not name.endswith("__") and name not in _MAY_END_SO
    return is_in_place or name == "__setitem__" or func == _DATA.__set__


def _name(func: Callable[..., Any]) -> str:
    return "data" if func == _DATA.__set__ else getattr(func, "__name__", "a function")
