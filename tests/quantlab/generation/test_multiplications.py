"""The cost model against torch's count of what the modes compute."""

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from quantlab.errors import UsageError
from quantlab.generation import MLGSpec
from quantlab.generation.factors import Factors
from quantlab.generation.modes import Window, convolution, modes_of
from quantlab.generation.multiplications import multiplications, num_places
from quantlab.generation.shapes import factor_shapes

LAYERS = {
    "3x3": (nn.Conv2d(6, 8, 3, padding=1), MLGSpec(base_out=5)),
    "strided": (nn.Conv2d(6, 8, 3, stride=2), MLGSpec(base_out=5)),
    "dilated": (nn.Conv2d(6, 8, 3, dilation=2, padding=1), MLGSpec(base_in=1, base_out=5)),
    "same": (nn.Conv2d(6, 8, (1, 5), padding="same"), MLGSpec(base_out=5)),
    "reflect": (nn.Conv2d(6, 8, 3, padding=1, padding_mode="reflect"), MLGSpec(base_out=5)),
    "groups": (nn.Conv2d(6, 8, 3, groups=2), MLGSpec(base_out=5)),
    "depthwise": (nn.Conv2d(6, 12, 3, groups=6), MLGSpec(base_out=4)),
    "1x1": (nn.Conv2d(6, 8, 1, stride=2), MLGSpec(base_out=3)),
    "groups without coeff_out": (nn.Conv2d(6, 8, 3, groups=2), MLGSpec(base_out=0)),
    "no level of inputs": (nn.Conv2d(6, 8, 3), MLGSpec(base_in=0, base_out=5)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_counts_are_those_of_torch(name: str) -> None:
    conv, spec = LAYERS[name]
    shapes = factor_shapes(conv.weight.shape, spec)
    factors = Factors.of(
        {name: None if s is None else torch.randn(s) for name, s in shapes.by_name.items()}
    )
    window, batch, size = Window.of(conv), 3, (9, 8)
    num_inputs, num_outputs = num_places(window, conv.kernel_size, size)
    x = torch.randn(batch, conv.in_channels, *size)
    for mode in modes_of(shapes):
        with FlopCounterMode(display=False) as counter:
            convolution(x, factors, conv.bias, window, mode=mode)
        counted = multiplications(
            shapes,
            mode,
            num_inputs=batch * num_inputs,
            num_outputs=batch * num_outputs,
            groups=conv.groups,
        )
        assert 2 * counted == counter.get_total_flops(), mode


def test_resnet_18_takes_a_quarter() -> None:
    """A convolution of its first stage: 37.7 million multiplications become 9.5 million."""
    shapes = factor_shapes((64, 64, 3, 3), MLGSpec())
    taken = multiplications(shapes, "factored", num_inputs=1024, num_outputs=1024)
    assert taken == 1024 * (64 * 88 + 88 * 9 + 44 * 64) == 9_461_760
    assert 64 * 64 * 9 * 1024 == 37_748_736


def test_a_mode_that_a_layer_has_not_is_refused() -> None:
    shapes = factor_shapes((8, 6, 3, 3), MLGSpec(base_out=0))
    with pytest.raises(UsageError, match="'two_stage' given for a weight without coeff_out"):
        multiplications(shapes, "two_stage", num_inputs=1, num_outputs=1)
