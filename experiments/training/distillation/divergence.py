"""How far a student's scores are from its teacher's."""

import torch
from torch import Tensor
from torch.nn import functional

_HALVES = (torch.float16, torch.bfloat16)


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """Return T^2 KL(softmax(z_t / T) || softmax(z_s / T)), the mean over samples and places.

    student, teacher: scores z `[N, K, ...]` of K classes. T^2 keeps the gradient's size whatever
    the temperature T is (Hinton et al., arXiv:1503.02531, section 2); the teacher gets none. Half
    precisions are computed in float32.
    """
    student, teacher = (s.float() if s.dtype in _HALVES else s for s in (student, teacher))
    of_student = functional.log_softmax(student / temperature, dim=1)
    of_teacher = functional.log_softmax(teacher.detach() / temperature, dim=1)
    terms = functional.kl_div(of_student, of_teacher, reduction="none", log_target=True)
    return temperature**2 * terms.sum(1).mean()
