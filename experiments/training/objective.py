"""What a training step minimizes.

    (1 - alpha) loss + alpha T^2 KL(softmax(z_t / T) || softmax(z_s / T))
        + w orthonormality + r bits / N

with `training.loss`, the scores z_t of the teacher and z_s of the student for the same augmented
batch, and alpha, T, w and r of the section `criterion`; bits are those of the N elements of all
quantized weights and factors, see `quantlab.algorithms.rate`. Without a teacher the first two terms
are the loss alone; without its weight, w or r, a term is absent. Evaluations measure the loss
alone.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from experiments.training.distillation.config import CriterionConfig
from experiments.training.distillation.divergence import soft_divergence
from experiments.training.distillation.teacher import Teacher
from quantlab.algorithms.rate import num_quantized, rate_of
from quantlab.generation import orthonormality_of


@dataclass(frozen=True, kw_only=True)
class Objective:
    """network: the student."""

    network: nn.Module
    loss: nn.Module
    teacher: Teacher | None
    criterion: CriterionConfig

    def __call__(self, inputs: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
        """Return the value for a batch, of which `outputs` are the student's."""
        value: Tensor = self.loss(outputs, targets)
        if self.teacher is not None:
            criterion = self.criterion
            soft = soft_divergence(outputs, self.teacher.scores(inputs), criterion.temperature)
            value = (1.0 - criterion.alpha) * value + criterion.alpha * soft
        if self.criterion.ortho_loss_weight:
            value = value + self.criterion.ortho_loss_weight * orthonormality_of(self.network)
        if self.criterion.rate_weight:
            bits = rate_of(self.network) / max(num_quantized(self.network), 1)
            value = value + self.criterion.rate_weight * bits
        return value
