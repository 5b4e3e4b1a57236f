"""The network in another form, of the same parameters and buffers, which training steps run."""

from typing import Any, cast

import torch
from torch import nn

from experiments.configuration.documents import Document
from experiments.configuration.section import complain
from experiments.training.config import TrainingConfig
from quantlab.quantizer import COMPILE_OPTIONS
from quantlab.sparse.config import PruneConfig
from quantlab.sparse.fuse_blocks import fuse_blocks


def twin_of(
    network: nn.Module,
    prune: PruneConfig | None,
    training: TrainingConfig,
    document: Document,
    *,
    is_quantized: bool,
) -> nn.Module | None:
    """Return the compiled network, or the one of blocks; None if steps run the network itself.

    Raises UsageError for both together, and for what blocks do not do.
    """
    has_blocks = prune is not None and prune.blocks
    if training.compile:
        if has_blocks:
            raise complain(
                document, ("prune", "blocks"), "given beside training.compile; one of them allowed"
            )
        options: dict[str, Any] = dict(COMPILE_OPTIONS) if is_quantized else {}
        return cast(nn.Module, torch.compile(network, options=options or None))
    if not has_blocks:
        return None
    if training.precision == "float64":
        raise complain(
            document, ("prune", "blocks"), "given beside precision float64; float32 allowed"
        )
    return fuse_blocks(network)
