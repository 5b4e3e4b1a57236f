"""The stages of a compression: weights are removed, what is left settles, and is quantized."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn

from quantlab.algorithms.after_training.batches import Progress
from quantlab.compression.budget import Budget
from quantlab.compression.exporting import Exported, Exporter
from quantlab.compression.final import trimmed
from quantlab.compression.layers import float_bytes_of, kept_of
from quantlab.compression.lower_ranks import with_lower_ranks
from quantlab.compression.pruning import Pruned, Pruning
from quantlab.compression.recipe import Recipe
from quantlab.compression.recovery import Recovery, Stateful
from quantlab.compression.report import Point, Report
from quantlab.compression.rows import layer_rows
from quantlab.compression.samples import Batches, Data, batches_on, drawn_from, hash_of
from quantlab.compression.store import Store
from quantlab.compression.training import (
    Criterion,
    Objective,
    Steps,
    accuracy_of,
    accuracy_of_integers,
    chance_of,
    new_optimizer,
    num_batches_of,
    num_classes_of,
    rate_at,
    reestimate_batch_norms,
    train_epoch,
)
from quantlab.compression.unreachable import UnreachableError
from quantlab.deploy.c.sizes import check_limits
from quantlab.errors import UsageError

_STATISTICS = 50  # batches, for batch norms


@dataclass(frozen=True, kw_only=True)
class Done:
    network: nn.Module
    exported: Exported
    report: Report


class Stages:
    """The stages, one after the other. Each begins from the end of the one before, and goes on from
    its own last epoch if there is one."""

    def __init__(
        self,
        *,
        network: nn.Module,
        data: Data,
        valid: Batches,
        budget: Budget,
        floor: float | None,
        recipe: Recipe,
        exporter: Exporter,
        criterion: Criterion,
        store: Store,
        progress: Progress,
        board: str,
    ) -> None:
        self._network, self._data, self._valid = network, data, valid
        self._budget, self._floor, self._recipe = budget, floor, recipe
        self._exporter, self._store, self._progress = exporter, store, progress
        self._board = board
        self._num_batches = num_batches_of(data.train)
        self._num_classes = num_classes_of(network, exporter.samples[:1])
        self._objective = Objective(
            criterion=criterion,
            teacher=copy.deepcopy(network).eval(),
            distill=recipe.distill,
            temperature=recipe.temperature,
        )
        self._device = next(network.parameters()).device
        self._recovery = Recovery(chance_of(valid))
        self._forms: tuple[str, ...] = ()
        self._curve: list[Point] = []
        self._dense_flash = 0
        self._accuracy = 0.0

    def run(self) -> Done:
        """Train through all stages; return the C and the report."""
        recipe = self._recipe
        float_bytes = float_bytes_of(self._network)
        dense_accuracy = self._accuracy = accuracy_of(self._network, self._valid, "data.valid")
        if self._floor is not None and self._floor > dense_accuracy:
            raise UsageError(
                f"floor: {self._floor:g} % given, at most the {dense_accuracy:.2f} % of the "
                "network itself on validation samples allowed"
            )
        if self._data.test is not None:  # a wrong class is said before anything is trained
            accuracy_of(self._network, self._data.test, "data.test")
        if recipe.low_rank:
            self._network, self._forms = with_lower_ranks(
                self._network, self._exporter.samples, self._budget.ram_bytes
            )
        dense = copy.deepcopy(self._network)
        pruned = self._prune()
        network, masks = pruned.network, kept_of(pruned.network)
        self._train("settling", network, masks, recipe.ramp_epochs, recipe.settling_epochs)
        self._renew(network)
        quantized = self._exporter.quantized(network, pruned.bits).to(self._device)
        first = recipe.ramp_epochs + recipe.settling_epochs
        self._train("quantized", quantized, masks, first, recipe.quantized_epochs)
        quantized = quantized.cpu()
        exported = trimmed(quantized, self._exporter, self._budget.flash_bytes)
        check_limits(exported.sizes, ram=self._budget.ram_bytes, place="budget.")
        report = self._report(quantized, exported, dense, float_bytes, dense_accuracy)
        return Done(network=quantized, exported=exported, report=report)

    def _prune(self) -> Pruned:
        recipe, network = self._recipe, self._network
        pruning = Pruning(network, self._exporter, recipe, self._budget.flash_bytes)
        optimizer = new_optimizer(network, recipe)
        state = self._store.load("ramp", self._device)
        begin = 0
        if state is None:
            self._check_budget(pruning)
        else:
            begin = self._restored(state, network, optimizer)
            pruning.load_state_dict(state["pruning"])
        for epoch in range(begin, recipe.ramp_epochs):
            flash = pruning.begin_epoch(epoch)
            if flash is not None:
                self._curve.append(Point(epoch=epoch, flash=flash, accuracy=self._accuracy))

            def step(part: float, epoch: int = epoch) -> None:
                pruning.step((epoch + part) / recipe.ramp_epochs)

            steps = Steps(
                objective=self._objective,
                optimizer=optimizer,
                rate=self._rate_of(epoch),
                masks=lambda: pruning.masks,
                after_backward=pruning.observe_gradients,
                after_step=step,
            )
            self._epoch(network, epoch, steps, pruning)
            pruning.end_epoch(self._accuracy)
            self._keep_state("ramp", epoch, network, optimizer, {"pruning": pruning.state_dict()})
        made = pruning.finish()
        budget = self._budget.flash_bytes
        if budget is not None and made.flash > budget:
            raise UnreachableError(
                f"budget.flash: {budget:,} bytes given, {made.flash:,} the fewest that were made",
                smallest=made.flash,
                curve=self._curve,
            )
        self._renew(made.network)
        return made

    def _check_budget(self, pruning: Pruning) -> None:
        """Raise UsageError for a budget that cannot be met, with both figures."""
        exported = self._exporter.quick.export(self._exporter.quick.quantized(self._network, {}))
        self._dense_flash = exported.flash
        check_limits(exported.sizes, ram=self._budget.ram_bytes, place="budget.")
        flash = self._budget.flash_bytes
        if flash is None or flash >= exported.flash:
            return
        least = pruning.smallest()
        if flash < least:
            raise UsageError(
                f"budget.flash: {flash:,} bytes given, at least {least:,} allowed: what code, "
                "structures and the fewest bytes of weights take"
            )

    def _train(
        self,
        stage: str,
        network: nn.Module,
        masks: Mapping[str, Tensor],
        first: int,
        num_epochs: int,
    ) -> None:
        """Train with masks that stay, in place."""
        optimizer = new_optimizer(network, self._recipe)
        state = self._store.load(stage, self._device)
        begin = first if state is None else self._restored(state, network, optimizer)
        for epoch in range(begin, first + num_epochs):
            steps = Steps(
                objective=self._objective,
                optimizer=optimizer,
                rate=self._rate_of(epoch),
                masks=lambda: masks,
            )
            self._epoch(network, epoch, steps)
            self._keep_state(stage, epoch, network, optimizer, {})

    def _epoch(self, network: nn.Module, epoch: int, steps: Steps, *changed: Stateful) -> None:
        """Train for an epoch. changed: what changes beside the network and the optimizer."""

        def train() -> float:
            batches = self._data.train
            with drawn_from(hash_of(self._recipe.seed, epoch), batches):
                train_epoch(network, batches, self._num_batches, self._num_classes, steps)
            return accuracy_of(network, self._valid, "data.valid")

        parts: list[Stateful] = [network, steps.optimizer, *changed]
        self._accuracy = self._recovery.train(parts, self._accuracy, train)
        self._progress("compress", epoch + 1, self._recipe.epochs)

    def _rate_of(self, epoch: int) -> Callable[[float], float]:
        recipe, recovery = self._recipe, self._recovery
        return lambda part: recovery.rate * rate_at(recipe, (epoch + part) / recipe.epochs)

    def _renew(self, network: nn.Module) -> None:
        """Estimate the statistics of batch norms anew."""
        with drawn_from(self._recipe.seed, self._data.train):
            first = islice(self._data.train, _STATISTICS)
            reestimate_batch_norms(network, batches_on(network, first, "data.train"))

    def _keep_state(
        self,
        stage: str,
        epoch: int,
        network: nn.Module,
        optimizer: torch.optim.Optimizer,
        more: Mapping[str, Any],
    ) -> None:
        self._store.save(
            stage,
            {
                "epoch": epoch,
                "network": network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "accuracy": self._accuracy,
                "rate": self._recovery.rate,
                "num_repeated": self._recovery.num_repeated,
                "dense_flash": self._dense_flash,
                "curve": [asdict(point) for point in self._curve],
                **more,
            },
        )

    def _restored(
        self, state: Mapping[str, Any], network: nn.Module, optimizer: torch.optim.Optimizer
    ) -> int:
        """Load a state; return the epoch to go on with."""
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        self._accuracy, self._dense_flash = state["accuracy"], state["dense_flash"]
        self._recovery.rate = state["rate"]
        self._recovery.num_repeated = state["num_repeated"]
        self._curve = [Point(**point) for point in state["curve"]]
        return int(state["epoch"]) + 1

    def _report(
        self,
        network: nn.Module,
        exported: Exported,
        dense: nn.Module,
        float_bytes: int,
        dense_accuracy: float,
    ) -> Report:
        program, spec = exported.program, self._exporter.spec
        test = self._data.test
        return Report(
            board=self._board,
            flash=exported.flash,
            flash_budget=self._budget.flash_bytes,
            ram=exported.sizes.ram,
            ram_budget=self._budget.ram_bytes,
            dense_flash=self._dense_flash,
            float_bytes=float_bytes,
            dense_accuracy=dense_accuracy,
            accuracy=accuracy_of_integers(program, spec, network, self._valid, "data.valid"),
            test_accuracy=None
            if test is None
            else accuracy_of_integers(program, spec, network, test, "data.test"),
            layers=layer_rows(dense, network, exported),
            curve=self._curve,
            num_repeated=self._recovery.num_repeated,
            footprint=exported.footprint,
            forms=self._forms,
        )
