"""The arithmetic of a training step, in two parts: the gradients of a batch, and the update."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from torch import Tensor, nn

from experiments.training.assembly import Assembly
from experiments.training.capture.tensor_rates import TensorRates
from experiments.training.precision import Precision


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a batch gave, detached.

    predictions, targets: `[B, ...]`. loss: its mean. share: the same weighted by the batch's share
    of the step.
    """

    predictions: Tensor
    targets: Tensor
    loss: Tensor
    share: Tensor

    def copied(self) -> "Outcome":
        """Return the same in tensors of its own."""
        return Outcome(
            predictions=self.predictions.clone(),
            targets=self.targets.clone(),
            loss=self.loss.clone(),
            share=self.share.clone(),
        )


@dataclass(frozen=True, kw_only=True)
class Step:
    """rates: of an optimizer that reads them from tensors, None for one that reads numbers."""

    assembly: Assembly
    parameters: Sequence[nn.Parameter]
    precision: Precision
    postprocess: Callable[[Tensor], Tensor]
    clip_norm: float | None
    rates: TensorRates | None

    def backward(
        self, network: nn.Module, inputs: Tensor, targets: Tensor, weight: float
    ) -> Outcome:
        """Add the gradients of a batch to those of the step.

        network: the assembly's, or its twin. weight: the batch's share of the step.
        """
        with self.precision.autocast():
            outputs = network(inputs)
            loss = self.assembly.objective(inputs, outputs, targets)
        share = loss if weight == 1.0 else loss * weight
        self.precision.scale(share).backward()
        return Outcome(
            predictions=self.postprocess(outputs.detach()),
            targets=targets,
            loss=loss.detach(),
            share=share.detach(),
        )

    def update(self) -> None:
        """Let the optimizer step, and the averages follow."""
        optimizer, scaler = self.assembly.optimizer, self.precision.scaler
        if scaler is not None:
            scaler.unscale_(optimizer)
        if self.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.parameters, self.clip_norm)
        with nullcontext() if self.rates is None else self.rates.applied():
            if scaler is None:
                optimizer.step()
            else:
                scaler.step(optimizer)
        if scaler is not None:
            scaler.update()
        if self.assembly.ema is not None:
            self.assembly.ema.update()
