"""The one place where autograd functions are called.

`Function.apply` has no types of its own, so that strict checking rejects each call; this wrapper
gives it those of all functions here: any arguments, one tensor back.
"""

from collections.abc import Callable
from typing import cast

from torch import Tensor
from torch.autograd import Function


def apply(function: type[Function], *args: object) -> Tensor:
    """Return `function.apply(*args)`."""
    return cast(Callable[..., Tensor], function.apply)(*args)
