"""The loss that a configuration names."""

import inspect

from torch import nn

from experiments.configuration.constructors import create, find_class
from experiments.configuration.documents import Document
from experiments.configuration.section import ClassSpec
from experiments.library import Library


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
