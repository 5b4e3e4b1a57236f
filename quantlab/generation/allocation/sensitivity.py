"""How much a layer's loss suffers from errors of its weight: the mean squared gradient.

    F = mean over batches and elements of (d loss / d w)^2

(L. Theis et al., Faster gaze prediction with dense networks and Fisher pruning, 2018,
arXiv:1801.05787, equation 8, of batches instead of samples.)
"""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from quantlab.algorithms.after_training.batches import LabeledBatch, labeled_batches
from quantlab.algorithms.after_training.modes import evaluating
from quantlab.graphs.inputs import device_of


def sensitivity_of(
    network: nn.Module,
    names: Sequence[str],
    batches: Iterable[LabeledBatch],
    loss: Callable[[Tensor, Tensor], Tensor],
) -> dict[str, float]:
    """Return F of the weights of layers, by their names. The network is not changed.

    batches: inputs and targets. loss: of outputs and targets, the mean over samples.
    Raises UsageError if there are no batches.
    """
    weights = {
        f"{name}.weight": network.get_parameter(f"{name}.weight").detach().requires_grad_()
        for name in names
    }
    pairs = labeled_batches(network, batches)
    sums = torch.zeros(len(weights), dtype=torch.float64, device=device_of(network))
    with evaluating(network), torch.enable_grad():
        for inputs, targets in pairs:
            outputs = functional_call(network, weights, (inputs,))
            gradients = torch.autograd.grad(loss(outputs, targets), list(weights.values()))
            sums += torch.stack([one.double().square().mean() for one in gradients])
    return dict(zip(names, (sums / len(pairs)).tolist(), strict=True))
