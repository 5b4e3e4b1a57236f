"""What a step minimizes: its gradient is the formula's, the teacher gets none and does not wait."""

import copy

import pytest
import torch
from torch import nn

from experiments.training.distillation.config import CriterionConfig
from experiments.training.distillation.teacher import Teacher
from experiments.training.objective import Objective
from problems.MNIST.LeNet import preprocess
from quantlab.algorithms import rate_of
from quantlab.generation import MLGConv2d, MLGLinear, MLGSpec, orthonormality
from tests.waiting import no_waiting


def network(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(),
        nn.Linear(16 * width, 4),
    )  # fmt: skip


def teacher() -> Teacher:
    large = network(8).eval().requires_grad_(False)
    return Teacher(network=large, origin="here", weights_sha256="", preprocess=preprocess)


def test_the_gradient_is_the_formulas() -> None:
    student, taught = network(2).double(), teacher()
    taught.network.double()
    before = copy.deepcopy(taught.network.state_dict())
    inputs, targets = torch.randn(6, 1, 6, 6, dtype=torch.float64), torch.arange(6) % 4
    criterion = CriterionConfig(temperature=2.5, alpha=0.7)
    objective = Objective(
        network=student, loss=nn.CrossEntropyLoss(), teacher=taught, criterion=criterion
    )
    objective(inputs, student(inputs), targets).backward()
    found = [p.grad.clone() for p in student.parameters() if p.grad is not None]
    student.zero_grad()
    with torch.no_grad():
        p_NK = torch.softmax(taught.network(inputs) / 2.5, 1)
    log_q_NK = torch.log_softmax(student(inputs), 1)
    hard = -log_q_NK[torch.arange(6), targets].mean()
    log_q_NK = torch.log_softmax(student(inputs) / 2.5, 1)
    soft = (p_NK * (p_NK.log() - log_q_NK)).sum(1).mean()
    (0.7 * 2.5**2 * soft + 0.3 * hard).backward()
    assert len(found) == len(list(student.parameters()))
    for gradient, parameter in zip(found, student.parameters(), strict=True):
        torch.testing.assert_close(gradient, parameter.grad, rtol=1e-9, atol=1e-13)
    for name, tensor in taught.network.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(parameter.grad is None for parameter in taught.network.parameters())


def test_without_a_teacher_it_is_the_loss() -> None:
    student, loss = network(2), nn.CrossEntropyLoss()
    objective = Objective(
        network=student, loss=loss, teacher=None, criterion=CriterionConfig(alpha=0.5)
    )
    outputs, targets = torch.randn(3, 4), torch.arange(3)
    assert torch.equal(objective(torch.rand(3, 1), outputs, targets), loss(outputs, targets))


def generated() -> nn.Sequential:
    student = network(6)
    student[0] = MLGConv2d.from_dense(nn.Conv2d(1, 6, 3), MLGSpec(base_in=0, base_out=3))
    student[4] = MLGLinear.from_dense(
        nn.Linear(96, 4), MLGSpec(base_in=2, base_out=2, linear_block=4)
    )
    return student


def test_orthonormality_is_added() -> None:
    student, loss = generated(), nn.CrossEntropyLoss()
    outputs, targets = torch.randn(3, 4), torch.arange(3)
    objective = Objective(
        network=student, loss=loss, teacher=None, criterion=CriterionConfig(ortho_loss_weight=0.25)
    )
    layers = [student[0], student[4]]
    terms = [orthonormality(layer.coeff_out, layer.coeff_in, layer.basis) for layer in layers]
    expected = loss(outputs, targets) + 0.25 * (terms[0] + terms[1])
    assert all(term > 0 for term in terms)
    found = objective(torch.rand(3, 1), outputs, targets)
    torch.testing.assert_close(found, expected)
    found.backward()
    assert all(
        factor.grad is not None and factor.grad.any()
        for layer in layers
        for factor in (layer.coeff_out, layer.basis)
    )


def test_bits_are_added() -> None:
    student, loss = generated(), nn.CrossEntropyLoss()
    outputs, targets = torch.randn(3, 4), torch.arange(3)
    objective = Objective(
        network=student, loss=loss, teacher=None, criterion=CriterionConfig(rate_weight=0.25)
    )
    num_elements = 6 * 3 + 3 * 1 * 3 * 3 + 4 * 2 + 2 * 24 * 2 + 2 * 2 * 4
    bits = rate_of(student) / num_elements
    found = objective(torch.rand(3, 1), outputs, targets)
    assert 1 < bits < 6
    torch.testing.assert_close(found, loss(outputs, targets) + 0.25 * bits)
    found.backward()
    factors = [p for name, p in student.named_parameters() if "coeff" in name or "basis" in name]
    assert len(factors) == 5
    assert all(factor.grad is not None and factor.grad.any() for factor in factors)


@pytest.mark.parametrize("size", [5, 2])
def test_a_step_with_a_teacher_does_not_wait(size: int) -> None:
    student = generated()
    objective = Objective(
        network=student,
        loss=nn.CrossEntropyLoss(),
        teacher=teacher(),
        criterion=CriterionConfig(ortho_loss_weight=0.05, rate_weight=0.1),
    )
    inputs, targets = torch.rand(size, 1, 6, 6), torch.arange(size) % 4
    with no_waiting(), torch.autocast("cpu", torch.bfloat16):
        objective(inputs, student(inputs), targets).backward()
