"""The divergence of scores, against NumPy in float64."""

import numpy as np
import pytest
import torch

from experiments.training.distillation.divergence import soft_divergence


def softmax(scores: np.ndarray) -> np.ndarray:
    powers = np.exp(scores - scores.max(1, keepdims=True))
    result: np.ndarray = powers / powers.sum(1, keepdims=True)
    return result


@pytest.mark.parametrize("shape", [(5, 3), (4, 6, 2, 3)])
@pytest.mark.parametrize("temperature", [1.0, 3.0, 20.0])
def test_value_and_gradient_are_the_formulas(shape: tuple[int, ...], temperature: float) -> None:
    student = (4 * torch.randn(shape, dtype=torch.float64)).requires_grad_()
    teacher = (4 * torch.randn(shape, dtype=torch.float64)).requires_grad_()
    value = soft_divergence(student, teacher, temperature)
    value.backward()
    p, q = (softmax(s.detach().numpy() / temperature) for s in (teacher, student))
    places = student.numel() / shape[1]
    expected = temperature**2 * (p * (np.log(p) - np.log(q))).sum() / places
    np.testing.assert_allclose(value.item(), expected, rtol=1e-12)
    assert student.grad is not None
    np.testing.assert_allclose(student.grad, temperature * (q - p) / places, rtol=1e-9, atol=1e-15)
    assert teacher.grad is None


def test_equal_scores_diverge_by_nothing() -> None:
    scores = torch.randn(5, 3)
    assert soft_divergence(scores, scores.clone(), 3.0) == 0.0
    assert soft_divergence(scores, scores + 7.0, 3.0).abs() < 1e-6  # scores but for a constant


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precisions_are_computed_in_float32(dtype: torch.dtype) -> None:
    student, teacher = (40 * torch.randn(2, 8, 10)).to(dtype)
    value = soft_divergence(student, teacher, 1.0)
    assert value.dtype == torch.float32
    assert torch.equal(value, soft_divergence(student.float(), teacher.float(), 1.0))


def test_scores_far_apart_stay_finite() -> None:
    scores = torch.tensor([[1e4, 0.0, -1e4]])
    assert soft_divergence(scores, -scores, 1.0).isfinite()
