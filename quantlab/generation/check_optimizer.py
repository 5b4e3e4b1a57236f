"""Whether an optimizer trains the factors of a network: not if it was made before `convert`."""

import torch
from torch import nn

from quantlab.errors import UsageError, check_kind
from quantlab.generation.layers import generated_layers
from quantlab.graphs.paths import join


def check_optimizer(network: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Raise UsageError unless the optimizer has all that generated layers train: their factors, and
    what the quantizers of these learn."""
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    check_kind("optimizer", optimizer, torch.optim.Optimizer, "one of torch.optim")
    trained = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    missing = [
        join(name, entry)
        for name, layer in generated_layers(network)
        for entry, parameter in layer.named_parameters()
        if parameter.requires_grad and parameter not in trained
    ]
    if missing:
        plural = "parameter" if len(missing) == 1 else "parameters"
        raise UsageError(
            f"optimizer: lacks {len(missing)} {plural} of generated layers, such as "
            f"'{missing[0]}'; make it after `convert`, of parameter_groups(network)"
        )
