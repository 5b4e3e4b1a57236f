"""What is done to the weight that a generated layer shows."""

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.generation import MLGConv2d, MLGLinear, MLGSpec

LAYERS = {
    "conv": lambda: MLGConv2d(6, 8, 3, spec=MLGSpec(base_out=5)),
    "linear": lambda: MLGLinear(12, 10, spec=MLGSpec(base_out=4)),
}


def assigned(weight: Tensor) -> None:
    weight.data = torch.zeros_like(weight)


def indexed(weight: Tensor) -> None:
    with torch.no_grad():
        weight[0] = 0


def copied(weight: Tensor) -> None:
    with torch.no_grad():
        weight.copy_(torch.zeros_like(weight))


def filled(weight: Tensor) -> None:
    with torch.no_grad():
        torch.mul(torch.zeros_like(weight), 2.0, out=weight)


WRITING: list[tuple[Callable[[Tensor], object], str]] = [
    (nn.init.kaiming_normal_, "normal_"),
    (nn.init.kaiming_uniform_, "kaiming_uniform_"),
    (nn.init.xavier_uniform_, "uniform_"),
    (nn.init.normal_, "normal_"),
    (lambda weight: nn.init.constant_(weight, 1.0), "constant_"),
    (nn.init.zeros_, "zero_"),
    (nn.init.orthogonal_, "mul_"),
    (lambda weight: weight.data.normal_(), "normal_"),
    (lambda weight: weight.data.clamp_(-1, 1), "clamp_"),
    (assigned, "data"),
    (indexed, "__setitem__"),
    (copied, "copy_"),
    (filled, "mul"),
]


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize(("writes", "by"), WRITING)
def test_writing_into_it_is_refused(name: str, writes: Callable[[Tensor], object], by: str) -> None:
    layer = LAYERS[name]()
    with pytest.raises(UsageError) as error:
        writes(layer.weight)
    assert str(error.value) == (
        f"weight: {by} given for one that is generated anew whenever it is read; set basis, "
        "coeff_in and coeff_out, or call reset_parameters of the layer"
    )


@pytest.mark.parametrize("name", LAYERS)
def test_reading_it_is_as_of_any_tensor(name: str) -> None:
    layer = LAYERS[name]()
    weight = layer.weight
    assert isinstance(weight, Tensor)
    assert not isinstance(weight, nn.Parameter)
    for plain in (weight + 0, weight.detach(), weight.clone(), weight.flatten(), weight.half()):
        assert type(plain) is Tensor
    weight.square().sum().backward()
    assert layer.basis.grad is not None
    changed = weight.detach().clone().mul_(2)
    torch.testing.assert_close(changed, 2 * weight.detach())
    dense = torch.zeros_like(weight)
    dense.copy_(weight.detach())
    assert torch.equal(dense, weight)
    assert repr(weight)
    assert weight.requires_grad_() is weight


def test_copies_and_files_of_it_are_plain() -> None:
    with torch.no_grad():
        weight = LAYERS["conv"]().weight
    other = copy.deepcopy(weight)
    other.zero_()
    file = io.BytesIO()
    torch.save(weight, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert type(loaded) is type(other) is Tensor
    assert torch.equal(loaded, weight)
