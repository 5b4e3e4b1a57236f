"""All that decides how a training goes on: what a checkpoint holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.amp import GradScaler

from experiments.processes.communicator import Communicator
from experiments.runs.background import to_cpu
from experiments.training.assembly import Assembly
from experiments.training.clock import Clock
from experiments.training.early_stopping import BestEpoch
from experiments.training.loss_state import load_own_state, own_state
from experiments.training.random_state import random_state, restore_random_state
from experiments.training.train_metrics import TrainMetrics
from experiments.training.weights import load_weights
from quantlab.errors import UsageError

VERSION = 1


def check_fits(assembly: Assembly, state: Mapping[str, Any], origin: str) -> None:
    """Load the tensors of a checkpoint, as a trial. Raises UsageError where they do not fit."""
    load_weights(assembly.network, state["network"], origin)
    try:
        load_own_state(assembly.loss, assembly.network, state["loss"])
        assembly.optimizer.load_state_dict(state["optimizer"])
    except (ValueError, RuntimeError, KeyError) as error:
        raise UsageError(f"{origin}: does not fit the loss or the optimizer: {error}") from error


@dataclass(kw_only=True)
class Position:
    """How far the training is. `step` counts optimizer steps from the start, `samples` those of all
    ranks that the current epoch has consumed."""

    epoch: int = 0
    step: int = 0
    samples: int = 0
    is_finished: bool = False


@dataclass(kw_only=True)
class TrainingState:
    """Everything that changes while training. Most of it is the same on all ranks; `of_rank` is
    not."""

    assembly: Assembly
    scaler: GradScaler | None
    metrics: TrainMetrics
    best: BestEpoch
    generator: torch.Generator
    communicator: Communicator
    device: torch.device
    position: Position = field(default_factory=Position)
    clock: Clock = field(default_factory=Clock)

    def weights(self) -> dict[str, Any]:
        """Return what testing needs."""
        assembly = self.assembly
        return {
            "version": VERSION,
            "position": vars(self.position).copy(),
            "network": assembly.network.state_dict(),
            "ema": assembly.ema.state_dict() if assembly.ema else None,
            "loss": own_state(assembly.loss, assembly.network),
        }

    def of_rank(self) -> dict[str, Any]:
        """Return what each rank has for itself, on the CPU."""
        return {
            "random": random_state(self.device),
            "metrics": to_cpu(self.metrics.state()),
            "buffers": to_cpu(self._buffers()),
        }

    def not_finite(self) -> str | None:
        """Return the name of a tensor of the training that holds NaN or infinity, if any does:
        parameters, their averages, what the optimizer keeps of them, running statistics."""
        assembly = self.assembly
        names = {name for name, _ in assembly.network.named_parameters()}
        names |= {name for name, _ in assembly.network.named_buffers() if ".running_" in f".{name}"}
        tensors = {n: t for n, t in assembly.network.state_dict().items() if n in names}
        if assembly.ema is not None:
            averages = assembly.ema.state_dict().items()
            tensors |= {f"the average of {name}": t for name, t in averages if name in names}
        for place, kept in enumerate(assembly.optimizer.state.values()):
            named = {f"the optimizer's {name} of parameter {place}": t for name, t in kept.items()}
            tensors |= {name: t for name, t in named.items() if isinstance(t, Tensor)}
        floats = {name: t.detach() for name, t in tensors.items() if t.is_floating_point()}
        if not floats:
            return None
        # One wait for a GPU, not one a tensor.
        are_finite = torch.stack([t.isfinite().all().to(self.device) for t in floats.values()])
        where = (~are_finite).nonzero().flatten().tolist()
        return list(floats)[where[0]] if where else None

    def whole(self, ranks: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return everything; `ranks` is what `of_rank` gave on each of them."""
        assembly = self.assembly
        return {
            **self.weights(),
            "clock": self.clock.state_dict(),
            "optimizer": assembly.optimizer.state_dict(),
            "learning_rate": assembly.learning_rate.state_dict(),
            "controllers": [controller.state_dict() for controller in assembly.controllers],
            "generator": self.generator.get_state(),
            "scaler": self.scaler.state_dict() if self.scaler else None,
            "best": self.best.state_dict(),
            "ranks": list(ranks),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `whole` returned. With another number of ranks the order of samples
        continues, while the random generators start anew, and all ranks have rank 0's buffers."""
        assembly = self.assembly
        load_weights(assembly.network, state["network"], "checkpoint")
        if assembly.ema is not None and state["ema"] is not None:
            assembly.ema.load_state_dict(state["ema"])
        load_own_state(assembly.loss, assembly.network, state["loss"])
        assembly.optimizer.load_state_dict(state["optimizer"])
        assembly.learning_rate.load_state_dict(state["learning_rate"])
        for controller, saved in zip(assembly.controllers, state["controllers"], strict=True):
            controller.load_state_dict(saved)
        self.generator.set_state(state["generator"])
        if self.scaler is not None and state["scaler"] is not None:
            self.scaler.load_state_dict(state["scaler"])
        self.best.load_state_dict(state["best"])
        self.position = Position(**state["position"])
        self.clock.load_state_dict(state["clock"])
        ranks = state["ranks"]
        if len(ranks) == self.communicator.size:
            self._restore_rank(ranks[self.communicator.rank])
        elif self.communicator.is_root:
            merged = TrainMetrics.merged([rank["metrics"] for rank in ranks])
            self.metrics.load_state(merged, self.device)

    def _restore_rank(self, mine: dict[str, Any]) -> None:
        self.metrics.load_state(mine["metrics"], self.device)
        restore_random_state(mine["random"], self.device)
        for name, buffer in self._buffers().items():
            buffer.copy_(mine["buffers"][name])

    def _buffers(self) -> dict[str, Tensor]:
        """Return what differs between the ranks until the epoch's end: the network's buffers,
        their moving averages, and what the loss holds."""
        if self.communicator.size == 1:
            return {}
        buffers = dict(self.assembly.network.named_buffers())
        if self.assembly.ema is not None:
            averages = self.assembly.ema.state_dict()
            buffers |= {f"ema.{n}": averages[n] for n in list(buffers) if n in averages}
        own = own_state(self.assembly.loss, self.assembly.network)
        return buffers | {f"loss.{name}": tensor for name, tensor in own.items()}
