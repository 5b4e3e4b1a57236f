"""The config section `prune`: a network with the largest of its weights."""

from typing import Literal, Self

from pydantic import Field, model_validator
from torch import nn
from torch.nn.utils.prune import custom_from_mask

from quantlab.errors import UsageError
from quantlab.graphs.select import select
from quantlab.settings import Settings
from quantlab.sparse.pruning import FLOAT, HALF, INT8, global_magnitude, sparsify, uniform_magnitude

ARITHMETICS = {"sparse": FLOAT, "half": HALF, "int8": INT8}
MAGNITUDE = {"global": global_magnitude, "uniform": uniform_magnitude}


class PruneConfig(Settings):
    """Which weights are kept, and what layers compute with them.

    sparsity: the part of the selected layers' weights that is removed, the smallest by magnitude.
    scope: `global`, one threshold over all of them, or `uniform`, the same part of each layer.
    select: see `quantlab.graphs.select`.
    layers: `sparse` (on the CPU, with the kept weights only), `half` and `int8` (the same on
    floats of 16 bits and integers of 8), or `masked` (dense, with zeros).
    blocks: whether a training step computes convolutions with their batch norms, ReLUs and
    poolings in one (`fuse_blocks`), on the CPU in float32.
    """

    sparsity: float = Field(ge=0.0, lt=1.0)
    scope: Literal["global", "uniform"] = "global"
    select: str = "*"
    layers: Literal["sparse", "half", "int8", "masked"] = "sparse"
    blocks: bool = False

    @model_validator(mode="after")
    def _check(self) -> Self:
        select(self.select)
        return self


def prune(network: nn.Module, config: PruneConfig) -> nn.Module:
    """Prune a network by its present weights, in place; return it, or the layer that took its place
    if it is a layer itself. Raises UsageError."""
    try:
        masks = MAGNITUDE[config.scope](network, config.sparsity, selector=select(config.select))
    except UsageError as error:
        raise UsageError(f"prune.select: {error}") from error
    if config.layers != "masked":
        return sparsify(network, masks, ARITHMETICS[config.layers])
    for name, mask in masks.items():
        custom_from_mask(network.get_submodule(name), "weight", mask)
    return network
