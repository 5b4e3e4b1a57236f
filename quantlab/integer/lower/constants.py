"""Tensors that depend on no input, as what they are for one sample."""

from torch import fx

from quantlab.integer.lower.grid import Reals
from quantlab.integer.lower.lowering import refuse


def of_one_sample(node: fx.Node, constant: Reals, num_axes: int) -> Reals:
    """Return a constant in a shape that broadcasts against one sample of `num_axes` axes."""
    if constant.ndim <= num_axes:
        return constant
    if constant.ndim > num_axes + 1 or (constant != constant[:1]).any():
        refuse(node, f"a constant of {list(constant.shape)}; one that is the same for all samples")
    sample: Reals = constant[0]
    return sample
