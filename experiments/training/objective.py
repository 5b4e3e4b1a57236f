"""What a training step minimizes.

    (1 - alpha) loss + alpha T^2 KL(softmax(z_t / T) || softmax(z_s / T)) + w orthonormality

with `training.loss`, the scores z_t of the teacher and z_s of the student for the same augmented
batch, and alpha, T and w of the section `criterion`. Without a teacher the first two terms are the
loss alone; without a weight w the last term is absent. Evaluations measure the loss alone.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from experiments.training.distillation.config import CriterionConfig
from experiments.training.distillation.divergence import soft_divergence
from experiments.training.distillation.teacher import Teacher
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
        return value
