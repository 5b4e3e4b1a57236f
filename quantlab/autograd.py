"""The one place where autograd functions are called.

`Function.apply` has no types of its own, so that strict checking rejects each call; this wrapper
gives it those of all functions here: any arguments, one tensor back.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from torch import Tensor
from torch.autograd import Function

F = TypeVar("F", bound=Callable[..., object])


def uncompiled(function: F) -> F:
    """Return a function that torch.compile calls as it is, since its kernels cannot be traced."""
    return cast(Callable[[F], F], torch.compiler.disable)(function)


def apply(function: type[Function], *args: object) -> Tensor:
    """Return `function.apply(*args)`."""
    return cast(Callable[..., Tensor], function.apply)(*args)
