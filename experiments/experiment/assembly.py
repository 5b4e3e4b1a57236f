"""What a configuration describes, built: network, loss, optimizer, schedule, quantization."""

import torch
from torch import nn

from experiments.configuration.documents import Document
from experiments.experiment.config import Config
from experiments.experiment.start import build_described, read_start
from experiments.library import Library, Problem
from experiments.training.assembly import Assembly
from experiments.training.config import TrainingConfig
from experiments.training.distillation.teacher import Teacher
from experiments.training.ema import EmaWeights
from experiments.training.learning_rate import create_learning_rate
from experiments.training.loss import create_loss
from experiments.training.loss_state import own_parameters
from experiments.training.monitoring import create_monitor
from experiments.training.objective import Objective
from experiments.training.optimizers import create_optimizer
from experiments.training.twin import twin_of
from quantlab.algorithms import parameter_groups
from quantlab.controller import Controller


def build_network(
    problem: Problem, library: Library, config: Config, document: Document, seed: int
) -> tuple[nn.Module, list[Controller]]:
    """Build the network and its controllers; see `build_described`."""
    weights = read_start(problem, library, config)
    return build_described(library, config, document, seed, weights)


def place_network(network: nn.Module, training: TrainingConfig, device: torch.device) -> None:
    """Bring a network to the device, in the memory layout of the training."""
    network.to(device)
    if training.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads


def assemble(
    problem: Problem,
    library: Library,
    config: Config,
    document: Document,
    *,
    seed: int,
    device: torch.device,
    num_ranks: int,
    teacher: Teacher | None = None,
) -> Assembly:
    """Build everything that is trained, on `device`. Raises UsageError for whatever the
    configuration names that is not there or does not fit."""
    training = config.training
    network, controllers = build_network(problem, library, config, document, seed)
    place_network(network, training, device)
    loss = create_loss(library, training.loss, document, network).to(device)
    if training.precision == "float64":
        loss.double()
    groups = parameter_groups(network, own_parameters(loss, network))
    optimizer = create_optimizer(training, document, groups, num_ranks)
    is_quantized = bool(controllers)
    return Assembly(
        network=network,
        twin=twin_of(network, config.prune, training, document, is_quantized=is_quantized),
        loss=loss,
        objective=Objective(
            network=network, loss=loss, teacher=teacher, criterion=config.criterion
        ),
        optimizer=optimizer,
        learning_rate=create_learning_rate(training.lr_scheduler, document, optimizer),
        controllers=controllers,
        ema=EmaWeights(network, training.ema.decay) if training.ema else None,
        monitor=create_monitor(network, config.monitor, document),
    )
