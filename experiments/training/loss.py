"""The loss that a configuration names."""

import inspect

import torch
from torch import Tensor, nn

from experiments.configuration.constructors import create, find_class
from experiments.configuration.documents import Document
from experiments.configuration.section import ClassSpec
from experiments.library import Library
from quantlab.errors import UsageError

_OF_CLASSES = (nn.CrossEntropyLoss, nn.NLLLoss)
_OF_EQUAL_SHAPES = (
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
)


def check_targets(loss: nn.Module, outputs: Tensor, targets: Tensor) -> None:
    """Raise UsageError for targets that a loss of torch's cannot take, or would broadcast.

    Of other losses nothing is known: subclasses of torch's may convert.
    """
    shape = list(outputs.shape)
    if type(loss) in _OF_EQUAL_SHAPES:
        wanted, is_right = f"{shape}", targets.shape == outputs.shape
    elif type(loss) in _OF_CLASSES and outputs.ndim >= 2:
        classes = [shape[0], *shape[2:]]
        are_places = not targets.is_floating_point() and list(targets.shape) == classes
        is_right = are_places and targets.dtype in (torch.int64, torch.uint8)
        wanted = f"torch.int64 {classes}"
        if isinstance(loss, nn.CrossEntropyLoss):
            is_right = is_right or (targets.is_floating_point() and targets.shape == outputs.shape)
            wanted += f", or probabilities {shape}"
    else:
        return
    if not is_right:
        raise UsageError(
            f"{type(loss).__name__}: targets of {targets.dtype} {list(targets.shape)} given for "
            f"outputs {shape}; {wanted} allowed"
        )


def create_loss(
    library: Library, config: ClassSpec, document: Document, network: nn.Module
) -> nn.Module:
    """Create the loss; one whose constructor has a parameter `network` gets the network."""
    path = ("training", "loss")
    factory = find_class(config, [library.loss, nn], (nn.Module,), document, path)
    takes_network = "network" in inspect.signature(factory).parameters
    given = {"network": network} if takes_network else {}
    loss: nn.Module = create(factory, config, document, path, given)
    return loss
