"""The end: whatever training did, the objects fit the budget."""

import torch
from torch import nn

from quantlab.algorithms.layers import carries
from quantlab.compression.exporting import Exported, Exporter
from quantlab.compression.layers import prunable_layers
from quantlab.compression.unreachable import UnreachableError

_MORE = 1.1  # weights, over those that would do


@torch.no_grad()
def trimmed(network: nn.Module, exporter: Exporter, flash: int | None) -> Exported:
    """Return a network with quantizers as C of at most `flash` bytes.

    Where it takes more, the smallest weights of all layers, in steps of their grids, become zero in
    place until it fits: training with quantizers moves few bytes. Raises UnreachableError if it
    takes more without any weight.
    """
    exported = exporter.export(network)
    smallest = exported.flash
    while flash is not None and exported.flash > flash:
        excess = exported.flash - flash
        if not _remove(network, max(int(excess * _MORE), 1)):
            raise UnreachableError(
                f"budget.flash: {flash:,} bytes given, {smallest:,} the fewest that were made",
                smallest=smallest,
            )
        exported = exporter.export(network)
        smallest = min(smallest, exported.flash)
    return exported


def _remove(network: nn.Module, count: int) -> bool:
    """Remove weights, in place; return whether there were any."""
    layers = list(prunable_layers(network).values())
    sizes = []
    for layer in layers:
        quantizer = carries(layer)["weight"]
        codes = quantizer.codes(layer.weight).abs().double()
        sizes.append((codes * quantizer.scale).masked_fill(codes == 0, torch.inf))
    flat = torch.cat([size.flatten() for size in sizes])
    order = torch.argsort(flat, stable=True)[: min(count, int(flat.isfinite().sum()))]
    gone = torch.zeros_like(flat, dtype=torch.bool)
    gone[order] = True
    for layer, part in zip(layers, gone.split([size.numel() for size in sizes]), strict=True):
        layer.weight.masked_fill_(part.reshape(layer.weight.shape), 0.0)
    return len(order) > 0
