"""Metrics of a network over samples that are shared out to all ranks without padding."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from experiments.data.loader import Loader
from experiments.processes.communicator import Communicator
from experiments.protocols import Meter
from experiments.training.precision import Precision


@torch.no_grad()
def evaluate(
    network: nn.Module,
    loss: nn.Module,
    loader: Loader,
    meter: Meter,
    postprocess: Callable[[Tensor], Tensor],
    precision: Precision,
    communicator: Communicator,
    on_batch: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Return the metrics over all ranks' samples; `meter` then holds the merged counts. Leaves the
    network in evaluation mode. All ranks call `on_batch` equally often."""
    network.eval()
    meter.reset()
    for batch in loader.epoch(0, is_shuffled=False):
        if batch.weight:
            with precision.autocast():
                outputs = network(batch.inputs)
                value = loss(outputs, batch.targets)
            meter.update(postprocess(outputs), batch.targets, value)
        on_batch()
    merge(meter, communicator)
    return dict(meter.compute())


def merge(meter: Meter, communicator: Communicator) -> None:
    """Give `meter` the sum of all ranks' states, with one reduction. Counts stay exact: float64
    holds integers up to 2^53."""
    if communicator.size == 1:
        return
    state = meter.state()
    flat = torch.cat([state[name].reshape(-1).double().cpu() for name in sorted(state)])
    pieces = communicator.all_reduce(flat).split([state[name].numel() for name in sorted(state)])
    meter.load_state(
        {
            name: piece.reshape(state[name].shape).to(state[name])
            for name, piece in zip(sorted(state), pieces, strict=True)
        }
    )
