"""The moving mean of squared gradients, beside float64."""

import torch
from torch import nn

from quantlab.compression.importance import Importance


def test_it_is_the_corrected_mean_of_squares_of_kept_weights() -> None:
    layer = nn.Linear(3, 2, bias=False)
    importance = Importance({"a": layer})
    generator = torch.Generator().manual_seed(0)
    mask = torch.tensor([[True, True, False], [True, False, True]])
    expected = torch.zeros(2, 3, dtype=torch.float64)
    for _ in range(50):
        layer.weight.grad = torch.randn(2, 3, generator=generator)
        importance.observe({"a": mask})
        square = layer.weight.grad.double().square()
        expected = torch.where(mask, 0.98 * expected + 0.02 * square, expected)
    torch.testing.assert_close(
        importance.fisher()["a"].double(), expected / (1 - 0.98**50), rtol=1e-5, atol=1e-8
    )


def test_its_state_goes_on() -> None:
    layer = nn.Linear(3, 2, bias=False)
    first, second = Importance({"a": layer}), Importance({"a": layer})
    layer.weight.grad = torch.ones(2, 3)
    mask = torch.ones(2, 3, dtype=torch.bool)
    first.observe({"a": mask})
    second.load_state_dict(first.state_dict())
    for one in (first, second):
        one.observe({"a": mask})
    assert torch.equal(first.fisher()["a"], second.fisher()["a"])


def test_layers_without_gradient_have_none() -> None:
    layer = nn.Linear(3, 2)
    importance = Importance({"a": layer})
    importance.observe({"a": torch.ones(2, 3, dtype=torch.bool)})
    assert importance.fisher()["a"].sum() == 0
