"""The one place where autograd functions are called.

`Function.apply` has no types of its own, so that strict checking rejects each call; this wrapper
gives it those of all functions here: any arguments, one tensor back.
"""

from collections.abc import Callable
from typing import TypeVar, cast

from torch import Tensor
from torch._compile import _disable_dynamo
from torch.autograd import Function

F = TypeVar("F", bound=Callable[..., object])


def uncompiled(function: F) -> F:
    """Return a function that torch.compile calls as it is, since its kernels cannot be traced.

    `torch.compiler.disable` would import torch._dynamo here, which takes as long as importing
    torch; this decorator of torch's own does it at the first call.
    """
    return cast(Callable[[F], F], _disable_dynamo)(function)


def apply(function: type[Function], *args: object) -> Tensor:
    """Return `function.apply(*args)`."""
    return cast(Callable[..., Tensor], function.apply)(*args)
