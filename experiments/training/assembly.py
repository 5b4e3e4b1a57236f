"""What a configuration describes, built: network, loss, optimizer, schedule, quantization."""

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn, optim
from torch.optim import lr_scheduler

from experiments.configuration.constructors import create, find_class
from experiments.configuration.documents import Document
from experiments.configuration.schema import Config
from experiments.configuration.section import complain
from experiments.data.draws import derive_seed
from experiments.library import Library, Problem
from experiments.runs.checkpoints import Checkpoints
from experiments.runs.folder import open_run
from experiments.training import lr_schedules
from experiments.training.config import Pretrained
from experiments.training.ema import EmaWeights
from experiments.training.learning_rate import LearningRate
from experiments.training.loss_state import own_parameters
from experiments.training.monitoring import create_monitor
from experiments.training.optimizers import eager
from experiments.training.random_state import seed_everything
from experiments.training.twin import twin_of
from quantlab.algorithms import parameter_groups, quantize
from quantlab.controller import Controller
from quantlab.errors import UsageError
from quantlab.monitor import Monitor
from quantlab.sparse import SparseLayer
from quantlab.sparse.config import prune
from quantlab.sparse.dense_state import dense_state

DTYPES = {
    "float32": torch.float32,
    "float64": torch.float64,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """The parts of one training. twin: see `twin_of`."""

    network: nn.Module
    twin: nn.Module | None
    loss: nn.Module
    optimizer: optim.Optimizer
    learning_rate: LearningRate
    controllers: list[Controller]
    ema: EmaWeights | None
    monitor: Monitor | None


def build_network(
    problem: Problem, library: Library, config: Config, document: Document, seed: int
) -> tuple[nn.Module, list[Controller]]:
    """Create the network from its seed, load pretrained weights, prune or quantize it. Weights of
    a network that was pruned or quantized itself are loaded last; those of a pruned one are also
    taken by a network that is not, with zeros between them."""
    seed_everything(derive_seed(seed, "network"))
    factory = find_class(config.network, [library.network], (nn.Module,), document, ("network",))
    network: nn.Module = create(factory, config.network, document, ("network",))
    source = config.network.pretrained
    state, origin = _read_pretrained(problem, library, source) if source else ({}, "")
    if config.prune is None:
        shapes = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
        state = dense_state(state, shapes)
    is_changed = config.prune is not None or bool(config.quantize.rules)
    is_of_changed = is_changed and not state.keys() <= network.state_dict().keys()
    if source and not is_of_changed:
        _load_pretrained(network, source, state, origin)
    if config.prune is not None:
        if config.quantize.rules:
            raise complain(document, ("prune",), "given beside quantize.rules; one of them allowed")
        network = prune(network, config.prune)
    controllers = quantize(network, config.quantize.rules)
    if source and is_of_changed:
        _load_pretrained(network, source, state, origin)
    if config.training.precision == "float64":
        network.double()
    return network, controllers


def assemble(
    problem: Problem,
    library: Library,
    config: Config,
    document: Document,
    *,
    seed: int,
    device: torch.device,
    num_ranks: int,
) -> Assembly:
    """Build everything that is trained, on `device`. Raises UsageError for whatever the
    configuration names that is not there or does not fit."""
    network, controllers = build_network(problem, library, config, document, seed)
    network.to(device)
    if config.training.channels_last:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    loss = create_loss(library, config, document, network).to(device)
    if config.training.precision == "float64":
        loss.double()
    groups = parameter_groups(network, own_parameters(loss, network))
    optimizer = _create_optimizer(config, document, groups, num_ranks)
    return Assembly(
        network=network,
        twin=twin_of(network, config, document, is_quantized=bool(controllers)),
        loss=loss,
        optimizer=optimizer,
        learning_rate=_create_learning_rate(config, document, optimizer),
        controllers=controllers,
        ema=EmaWeights(network, config.training.ema.decay) if config.training.ema else None,
        monitor=create_monitor(network, config, document),
    )


def without_pretrained(config: Config) -> Config:
    """Return the configuration for who has the weights already: where they began is not read."""
    network = config.network.model_copy(update={"pretrained": None})
    return config.model_copy(update={"network": network})


def load_weights(network: nn.Module, state: dict[str, Tensor], origin: str) -> None:
    """Load a state that must fit exactly. Raises UsageError naming the first misfit."""
    for path, layer in network.named_modules():
        indices = state.get(f"{path}.indices")
        if isinstance(layer, SparseLayer) and indices is not None:
            layer.keep(indices)
    own = network.state_dict()
    for name in sorted(own.keys() | state.keys()):
        if name not in state or name not in own:
            lacks = "has no" if name not in state else "has a superfluous"
            raise UsageError(f"{origin}: {lacks} entry {name!r}; is it of another topology?")
        if own[name].shape != state[name].shape:
            raise UsageError(
                f"{origin}: {name} is {tuple(state[name].shape)}, the network's is "
                f"{tuple(own[name].shape)}; is it of another topology?"
            )
    network.load_state_dict(state)


def trained_parameters(network: nn.Module, loss: nn.Module) -> list[nn.Parameter]:
    """Return what the optimizer changes: the network's parameters and the loss's own."""
    own = [p for p in network.parameters() if p.requires_grad]
    return own + own_parameters(loss, network)


def create_loss(
    library: Library, config: Config, document: Document, network: nn.Module
) -> nn.Module:
    """Create the loss; one whose constructor has a parameter `network` gets the network."""
    path = ("training", "loss")
    factory = find_class(config.training.loss, [library.loss, nn], (nn.Module,), document, path)
    takes_network = "network" in inspect.signature(factory).parameters
    given = {"network": network} if takes_network else {}
    loss: nn.Module = create(factory, config.training.loss, document, path, given)
    return loss


def _create_optimizer(
    config: Config, document: Document, groups: list[dict[str, Any]], num_ranks: int
) -> optim.Optimizer:
    path = ("training", "optimizer")
    spec = config.training.optimizer
    factory = find_class(spec, [optim], (optim.Optimizer,), document, path)
    if inspect.signature(factory.step).parameters["closure"].default is inspect.Parameter.empty:
        message = f"{spec.name} evaluates the loss several times a step, which training does not"
        raise complain(document, (*path, "class"), message)
    factory = factory if config.training.compile else eager(factory)
    optimizer: optim.Optimizer = create(factory, spec, document, path, {"params": groups})
    if config.training.lr_scaling == "linear":
        for group in optimizer.param_groups:
            group["lr"] *= num_ranks
    return optimizer


def _create_learning_rate(
    config: Config, document: Document, optimizer: optim.Optimizer
) -> LearningRate:
    path = ("training", "lr_scheduler")
    spec = config.training.lr_scheduler
    bases = (lr_schedules.LrSchedule, lr_scheduler.LRScheduler)
    factory = find_class(spec, [lr_schedules, lr_scheduler], bases, document, path)
    is_torch = issubclass(factory, lr_scheduler.LRScheduler)
    given = {"optimizer": optimizer} if is_torch else {}
    return LearningRate(optimizer, create(factory, spec, document, path, given))


def _load_pretrained(
    network: nn.Module, source: Pretrained, state: dict[str, Tensor], origin: str
) -> None:
    """Load the entries of another checkpoint that the prefixes choose; all if there are none."""
    if not source.prefixes:
        load_weights(network, state, origin)
        return
    chosen = {n: t for n, t in state.items() if n.startswith(tuple(source.prefixes))}
    if not chosen:
        raise UsageError(
            f"network.pretrained.prefixes: {source.prefixes} match nothing in {origin}"
        )
    load_weights(network, {**network.state_dict(), **chosen}, origin)


def _read_pretrained(
    problem: Problem, library: Library, source: Pretrained
) -> tuple[dict[str, Tensor], str]:
    if source.exp_id is not None:
        try:
            run = open_run(problem.name, problem.logs_folder, source.exp_id)
        except UsageError as error:
            raise UsageError(f"network.pretrained.exp_id: {error}") from error
        saves = Checkpoints(run.fold(source.fold) / "saves")
        saved = saves.load(source.checkpoint, say=lambda _: None)
        return saved["ema"] or saved["network"], f"{run.name} {source.checkpoint}.ckpt"
    path = Path(source.file or "")
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"network.pretrained.file: {path}: {error.strerror}") from error
    except Exception as error:  # torch raises many kinds for a file that is no checkpoint
        raise UsageError(f"network.pretrained.file: {path} is no checkpoint of tensors") from error
    if not isinstance(saved, dict):
        saved = {"network": None}
    is_ours = isinstance(saved.get("network"), dict)
    state = (saved.get("ema") or saved["network"]) if is_ours else saved
    if not isinstance(state, dict) or not all(isinstance(t, Tensor) for t in state.values()):
        raise UsageError(f"network.pretrained.file: {path} holds no network weights")
    return state, str(path)
