"""Calls controllers from a training loop of one's own.

conductor = Conductor(quantize(network, rules), optimizer)
for epoch in conductor.epochs(10):
    for inputs, targets in conductor.steps(batches):
        ...  # forward, backward, optimizer.step()
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch

from quantlab.controller import Alone, Context, Controller, Reducer, listening
from quantlab.errors import UsageError, check_kind

T = TypeVar("T")


class Conductor:
    """Tells controllers when epochs and steps begin and end, and counts them.

    seed: of all random choices that controllers make; equal on all ranks.
    communicator: of several processes that train together.

    Raises UsageError for an optimizer that lacks parameters of the controllers' quantizers.
    """

    def __init__(
        self,
        controllers: Sequence[Controller],
        optimizer: torch.optim.Optimizer | None = None,
        *,
        seed: int = 0,
        communicator: Reducer | None = None,
    ) -> None:
        check_kind("controllers", controllers, Sequence, "those of `quantize`")
        for index, controller in enumerate(controllers):
            check_kind(f"controllers[{index}]", controller, Controller, "those of `quantize`")
        check_kind("seed", seed, int, "an integer")
        if communicator is not None:
            check_kind("communicator", communicator, Reducer, "a Reducer")
        if optimizer is not None:
            _check_optimizer(optimizer, controllers)
        self.epoch = 0
        self.step = 0
        self._controllers = list(controllers)
        self._optimizer = optimizer
        self._communicator = communicator or Alone()
        self._generator = torch.Generator().manual_seed(int(seed))

    def epochs(self, count: int) -> Iterator[int]:
        """Yield the epochs from the current one up to `count`, the body of each being its steps."""
        check_kind("epochs", count, int, "an integer")
        while self.epoch < count:
            yield self.epoch
            self.epoch += 1

    def steps(self, batches: Iterable[T]) -> Iterator[T]:
        """Yield the batches of an epoch; the body makes one step of the optimizer with each."""
        check_kind("batches", batches, Iterable, "several, such as a loader,")
        for controller in listening(self._controllers, "on_epoch_start"):
            controller.on_epoch_start(self._now())
        before = listening(self._controllers, "on_step_start")
        after = listening(self._controllers, "on_step_end")
        for batch in batches:
            for controller in before:
                controller.on_step_start(self._now())
            yield batch
            self.step += 1
            for controller in after:
                controller.on_step_end(self._now())

    def validating(self) -> None:
        """To be called before the network is validated."""
        for controller in listening(self._controllers, "on_validate"):
            controller.on_validate(self._now())

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint needs beside the states of the network and the optimizer."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "generator": self._generator.get_state(),
            "controllers": [controller.state_dict() for controller in self._controllers],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take over what `state_dict` returned. Raises UsageError for other controllers."""
        check_kind("state", state, Mapping, "what `state_dict` returned")
        missing = self.state_dict().keys() - state.keys()
        if missing:
            raise UsageError(f"state: no {', '.join(sorted(missing))} in it; is it a conductor's?")
        states = state["controllers"]
        if len(states) != len(self._controllers):
            own = len(self._controllers)
            raise UsageError(f"controllers: the states of {len(states)} given, of {own} allowed")
        self.epoch, self.step = state["epoch"], state["step"]
        self._generator.set_state(state["generator"])
        for controller, its_state in zip(self._controllers, states, strict=True):
            controller.load_state_dict(its_state)

    def _now(self) -> Context:
        return Context(
            epoch=self.epoch,
            step=self.step,
            optimizer=self._optimizer,
            communicator=self._communicator,
            generator=self._generator,
        )


def _check_optimizer(optimizer: torch.optim.Optimizer, controllers: Iterable[Controller]) -> None:
    """Raise UsageError if an optimizer does not train what quantizers learn."""
    check_kind("optimizer", optimizer, torch.optim.Optimizer, "one of torch.optim")
    trained = {parameter for group in optimizer.param_groups for parameter in group["params"]}
    missing = [
        name
        for controller in controllers
        for name, parameter in controller.learned.items()
        if parameter.requires_grad and parameter not in trained
    ]
    if missing:
        count = f"{len(missing)} parameter{'s' if len(missing) > 1 else ''}"
        raise UsageError(
            f"optimizer: lacks {count} of quantizers, such as '{missing[0]}'; make it after "
            "`quantize`, of parameter_groups(network)"
        )
