"""All modes of generated layers against one another, and against what torch computes."""

from typing import Any

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor, nn
from torch.nn import functional

from quantlab.errors import UsageError
from quantlab.generation import MLGSpec
from quantlab.generation.factors import Factors
from quantlab.generation.modes import (
    MODES,
    Mode,
    Window,
    check_mode,
    convolution,
    linear,
    modes_of,
)
from quantlab.generation.shapes import FactorShapes, factor_shapes


def drawn(shapes: FactorShapes, dtype: torch.dtype = torch.float64) -> Factors:
    made = {
        name: None if shape is None else torch.randn(shape, dtype=dtype)
        for name, shape in shapes.by_name.items()
    }
    return Factors.of(made)


def layers() -> st.SearchStrategy[tuple[nn.Conv2d, Factors]]:
    """Convolutions of few channels, with factors of which at least one level is there."""

    @st.composite
    def draw(pick: st.DrawFn) -> tuple[nn.Conv2d, Factors]:
        groups = pick(st.integers(1, 3))
        inputs, outputs = pick(st.integers(1, 7)), groups * pick(st.integers(2, 5))
        kernel = pick(st.tuples(st.integers(1, 4), st.integers(1, 3)))
        stride = pick(st.tuples(st.integers(1, 3), st.integers(1, 2)))
        dilation = pick(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        mode: Any = pick(st.sampled_from(["zeros", "reflect", "replicate", "circular"]))
        padding: Any = pick(st.tuples(st.integers(0, 2), st.integers(0, 2)))
        if stride == (1, 1):
            padding = pick(st.sampled_from([padding, "same", "valid"]))
        conv = nn.Conv2d(
            groups * inputs,
            outputs,
            kernel,
            stride,
            padding,
            dilation,
            groups,
            bias=pick(st.booleans()),
            padding_mode=mode,
            dtype=torch.float64,
        )
        spec = MLGSpec(base_in=pick(st.integers(0, 3)), base_out=pick(st.integers(0, 6)))
        return conv, drawn(factor_shapes(conv.weight.shape, spec))

    return draw()


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@settings(max_examples=60, deadline=None)
@given(layers(), st.sampled_from(["contiguous", "channels last", "one image", "none"]))
def test_a_convolution_is_that_of_its_weight(drawn_: tuple[nn.Conv2d, Factors], batch: str) -> None:
    conv, factors = drawn_
    x = torch.randn(2, conv.in_channels, 9, 8, dtype=torch.float64)
    if batch == "channels last":
        x = x.contiguous(memory_format=torch.channels_last)
    if batch in ("one image", "none"):
        x = x[0] if batch == "one image" else x[:0]
    wanted = conv._conv_forward(x, factors.generate(), conv.bias)
    for mode in modes_of(factors):
        y = convolution(x, factors, conv.bias, Window.of(conv), mode=mode)
        torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(
    st.integers(2, 6),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(0, 3),
    st.integers(0, 5),
    st.sampled_from([(), (3,), (2, 3)]),
)
def test_a_linear_layer_is_that_of_its_weight(
    outputs: int, inputs: int, side: int, base_in: int, base_out: int, many: tuple[int, ...]
) -> None:
    shapes = factor_shapes((outputs, inputs, side), MLGSpec(base_in=base_in, base_out=base_out))
    factors = drawn(shapes)
    x = torch.randn(*many, inputs * side, dtype=torch.float64)
    bias = torch.randn(outputs, dtype=torch.float64)
    wanted = functional.linear(x, factors.generate().flatten(1), bias)
    for mode in modes_of(factors):
        y = linear(x, factors, bias, mode=mode)
        torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)


def resnet_layer(dtype: torch.dtype) -> tuple[Tensor, Factors, Tensor]:
    """An input, factors with the variances of a network's, and a bias."""
    made = drawn(factor_shapes((64, 48, 3, 3), MLGSpec(base_in=2, base_out=44)), dtype)
    size = (2 / (48 * 9) / (44 * 2) ** 0.5) ** (1 / 3)
    scaled = {name: None if one is None else one * size for name, one in made.by_name.items()}
    return torch.randn(2, 48, 8, 8, dtype=dtype), Factors.of(scaled), torch.randn(64, dtype=dtype)


@pytest.mark.parametrize("mode", MODES)
def test_floats_are_near(mode: Mode) -> None:
    x, factors, bias = resnet_layer(torch.float64)
    window = Window(padding=(1, 1))
    wanted = convolution(x, factors, bias, window, mode="generated")
    floats = Factors.of(
        {name: None if one is None else one.float() for name, one in factors.by_name.items()}
    )
    y = convolution(x.float(), floats, bias.float(), window, mode=mode)
    assert float((y - wanted).norm() / wanted.norm()) < 1e-5
    assert float((y - wanted).abs().max() / wanted.abs().max()) < 1e-5


@pytest.mark.parametrize("mode", MODES)
def test_channels_last_stays(mode: Mode) -> None:
    x, factors, bias = resnet_layer(torch.float32)
    last = x.contiguous(memory_format=torch.channels_last)
    y = convolution(last, factors, bias, Window(padding=(1, 1)), mode=mode)
    assert y.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("mode", ["two_stage", "factored"])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradients(mode: Mode, groups: int) -> None:
    factors = drawn(factor_shapes((4, 3, 3, 3), MLGSpec(base_in=2, base_out=3)))
    window = Window(padding=(1, 1), stride=(2, 1), groups=groups)
    x = torch.randn(2, 3 * groups, 4, 4, dtype=torch.float64)
    bias = torch.randn(4, dtype=torch.float64)
    v, u, b = factors.coeff_out, factors.coeff_in, factors.basis
    leaves = [one.requires_grad_() for one in (x, v, u, b, bias) if one is not None]

    def function(x: Tensor, v: Tensor, u: Tensor, b: Tensor, bias: Tensor) -> Tensor:
        made = Factors(coeff_out=v, coeff_in=u, basis=b)
        return convolution(x, made, bias, window, mode=mode)

    assert torch.autograd.gradcheck(function, leaves)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("base_out", [0, 3])
@pytest.mark.parametrize("side", [(), (3,)])
def test_autocast_gives_its_type(mode: Mode, base_out: int, side: tuple[int, ...]) -> None:
    shapes = factor_shapes((4, 4, 3, *side), MLGSpec(base_in=2, base_out=base_out))
    factors, bias = drawn(shapes, torch.float32), torch.randn(4)
    if mode not in modes_of(shapes):
        with pytest.raises(UsageError, match="without coeff_out"):
            check_mode(shapes, mode)
        return
    x = torch.randn(2, 4, 5, 5) if side else torch.randn(5, 12)

    def called(mode: Mode) -> Tensor:
        if side:
            return convolution(x, factors, bias, Window(), mode=mode)
        return linear(x, factors, bias, mode=mode)

    with torch.autocast("cpu", torch.bfloat16):
        y = called(mode)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), called("generated"), rtol=0.1, atol=0.5)


def test_modes_that_there_are_not_are_refused() -> None:
    shapes = factor_shapes((8, 6, 3, 3), MLGSpec(base_in=2, base_out=5))
    with pytest.raises(UsageError) as error:
        check_mode(shapes, "two_stages")
    assert str(error.value) == (
        "mode: 'two_stages' given, generated, two_stage, factored allowed; "
        "did you mean 'two_stage'?"
    )
    whole = factor_shapes((8, 6, 3, 3), MLGSpec(base_in=2, base_out=0))
    with pytest.raises(UsageError) as error:
        check_mode(whole, "two_stage")
    assert str(error.value) == (
        "mode: 'two_stage' given for a weight without coeff_out, generated, factored allowed"
    )
