"""Convolutions of one axis and transposed ones, of random settings, against the network's own."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.deploy.onnx.exact import exact_model
from quantlab.deploy.onnx.runtime import OnnxEngine
from quantlab.errors import UsageError
from quantlab.integer.fast import FastEngine
from quantlab.integer.interpreter import execute, run
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.operations import Convolution, Requantize, Reshape
from quantlab.integer.program import Program
from quantlab.integer.verify import compare
from tests.quantlab.deploy.test_qdq import run_all
from tests.quantlab.integer.constructs import quantized

Draw = Callable[[st.SearchStrategy[int]], int]


def spec_of(shape: tuple[int, ...]) -> InputSpec:
    """Zero is in the middle of the codes, so that zeros that are wrongly inserted show."""
    channels = shape[0] if len(shape) > 1 else 1
    return InputSpec(shape=shape, scale=(0.02,) * channels, zero_point=(120,) * channels)


def raw_of(spec: InputSpec, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, *spec.shape), generator=generator, dtype=torch.uint8)


def lowered(network: nn.Module, shape: tuple[int, ...]) -> tuple[Program, Tensor, Tensor]:
    """Return the program of a network whose weights get quantizers, raw inputs, and its outputs."""
    spec, network = spec_of(shape), quantized(network)
    raw = raw_of(spec, 3)
    reals = (raw.double() - 120) * 0.02
    program = lower(network, spec, reals)
    with torch.no_grad():
        return program, raw, network(reals)


def check(network: nn.Module, shape: tuple[int, ...]) -> Program:
    """Check that the outputs are the network's, whose weights are float32, in all engines."""
    program, raw, wanted = lowered(network, shape)
    (output,) = program.outputs
    inputs = {"input": raw.numpy()}
    found = program.reals[output](run(program, inputs)[output])
    assert found.shape == wanted.shape
    assert np.abs(found - wanted.numpy()).max() <= 1e-6 * (1 + wanted.abs().max())
    engines = {"fast": FastEngine(program), "onnx": OnnxEngine(exact_model(program), num_threads=1)}
    for comparison in compare(program, engines, [inputs]):
        comparison.check()
    return program


def transposed_layer(draw: Draw, axes: int) -> nn.Module:
    groups = draw(st.sampled_from([1, 2, 4]))
    stride, dilation = ([draw(st.integers(1, 4)) for _ in range(axes)] for _ in range(2))
    cls = nn.ConvTranspose1d if axes == 1 else nn.ConvTranspose2d
    return cls(
        4,
        groups * draw(st.integers(1, 2)),
        [draw(st.integers(1, 4)) for _ in range(axes)],
        stride,
        [draw(st.integers(0, 3)) for _ in range(axes)],
        [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)],
        groups,
        bool(draw(st.integers(0, 1))),
        dilation,
    )


def size_after(layer: nn.Module, sizes: list[int]) -> list[int]:
    """Return the sizes of a transposed convolution's outputs."""
    settings = (layer.stride, layer.padding, layer.output_padding, layer.dilation)
    return [
        (n - 1) * s - 2 * p + d * (k - 1) + added + 1
        for n, k, s, p, added, d in zip(sizes, layer.kernel_size, *settings, strict=True)
    ]


@pytest.mark.parametrize("axes", [1, 2])
@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_some_transposed_convolutions(axes: int, data: st.DataObject) -> None:
    check_transposed(axes, data)


@pytest.mark.long
@pytest.mark.parametrize("axes", [1, 2])
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_many_transposed_convolutions(axes: int, data: st.DataObject) -> None:
    check_transposed(axes, data)


def check_transposed(axes: int, data: st.DataObject) -> None:
    layer = transposed_layer(data.draw, axes)
    sizes = [data.draw(st.integers(1, 5)) for _ in range(axes)]
    if min(size_after(layer, sizes)) < 1:
        return
    check(nn.Sequential(layer), (4, *sizes))


@settings(max_examples=4, deadline=None)
@given(data=st.data())
def test_some_convolutions_of_one_axis(data: st.DataObject) -> None:
    check_one_axis(data)


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_many_convolutions_of_one_axis(data: st.DataObject) -> None:
    check_one_axis(data)


def check_one_axis(data: st.DataObject) -> None:
    draw = data.draw
    groups, kernel, dilation = (
        draw(st.sampled_from([1, 2, 4])),
        *(draw(st.integers(1, 4)) for _ in range(2)),
    )
    padding, width = draw(st.integers(0, 3)), draw(st.integers(1, 9))
    stride = draw(st.integers(1, 3))
    if width + 2 * padding < dilation * (kernel - 1) + 1:
        return
    outputs = groups * draw(st.integers(1, 2))
    conv = nn.Conv1d(4, outputs, kernel, stride, padding, dilation, groups)
    check(nn.Sequential(conv), (4, width))


def test_nothing_is_multiplied_by_an_inserted_zero() -> None:
    """As many products as torch has: each input by each weight of its channel."""
    for kernel, stride, padding, added in ((2, 2, 0, 0), (4, 2, 1, 0), (3, 2, 1, 1), (5, 3, 1, 0)):
        layer = nn.ConvTranspose2d(4, 3, kernel, stride, padding, added)
        program = check(nn.Sequential(layer), (4, 6, 6))
        layers = [op for op in program.operations if isinstance(op, Convolution)]
        assert sum(op.weight.size for op in layers) == layer.weight.numel()
        assert len(layers) <= stride**2


def test_sums_of_a_row_are_rounded_before_they_are_rearranged() -> None:
    """So that they are made into codes at once, and no row but the last changes its shape."""
    network = nn.Sequential(
        nn.Conv1d(2, 4, 3), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2), nn.Conv1d(4, 6, 3),
        nn.ConvTranspose1d(6, 3, 2, 2), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 10, 5),
    )  # fmt: skip
    program, *_ = lowered(network, (2, 16))
    makers = {op.output: op for op in program.operations}
    rescaled = [op for op in program.operations if isinstance(op, Requantize)]
    assert len(rescaled) >= 3
    assert all(not isinstance(makers[op.inputs[0]], Reshape) for op in rescaled)
    assert sum(isinstance(op, Reshape) for op in program.operations) == 4  # 1 first, 3 at the end


def test_a_layer_of_one_axis_is_one_of_two_axes_on_a_row() -> None:
    """To the bit, with weights, memory and sums of few bits too."""
    flat = nn.Sequential(
        nn.Conv1d(2, 4, 3, padding="same"), nn.BatchNorm1d(4), nn.ReLU(), nn.AvgPool1d(3, 2, 1),
        nn.ConvTranspose1d(4, 3, 3, 2), nn.MaxPool1d(2, ceil_mode=True), nn.Flatten(),
        nn.Linear(3 * 9, 5),
    )  # fmt: skip
    deep = nn.Sequential(
        nn.Conv2d(2, 4, (1, 3), padding="same"), nn.BatchNorm2d(4), nn.ReLU(),
        nn.AvgPool2d((1, 3), (1, 2), (0, 1)), nn.ConvTranspose2d(4, 3, (1, 3), (1, 2)),
        nn.MaxPool2d((1, 2), ceil_mode=True), nn.Flatten(), nn.Linear(3 * 9, 5),
    )  # fmt: skip
    deep.load_state_dict(
        {
            name: value.reshape(deep.state_dict()[name].shape)
            for name, value in flat.state_dict().items()
        }
    )
    raw, found = raw_of(spec_of((2, 16)), 5), []
    reals = (raw.double() - 120) * 0.02
    for network, shape in ((flat, (2, 16)), (deep, (2, 1, 16))):
        program = lower(
            quantized(network),
            spec_of(shape),
            reals.reshape(-1, *shape),
            memory_bits=8,
            sum_bits=32,
        )
        found.append(run(program, {"input": raw.numpy().reshape(-1, *shape)})[program.outputs[0]])
    np.testing.assert_array_equal(*found)


def test_signals_have_a_scale_for_each_channel() -> None:
    spec = InputSpec(shape=(2, 12), scale=(0.02, 0.03), zero_point=(120, 7))
    network = quantized(nn.Sequential(nn.Conv1d(2, 3, 3, padding=1), nn.Flatten()))
    raw = raw_of(spec, 3)
    zero, scale = torch.tensor([[120], [7]]), torch.tensor([[0.02], [0.03]], dtype=torch.float64)
    reals = (raw.double() - zero) * scale
    program = lower(network, spec, reals)
    (output,) = program.outputs
    found = program.reals[output](run(program, {"input": raw.numpy()})[output])
    with torch.no_grad():
        np.testing.assert_allclose(found, network(reals).numpy(), atol=2e-3)
    tensors = dict(execute(program, {"input": raw.numpy()}))
    codes = {name for name in tensors if program.types[name].kind.num_bits < 32}
    assert codes
    floats = run_all(program, {"input": raw.numpy()})
    for name in codes:
        assert np.abs(floats[f"{name}.codes"].astype(int) - tensors[name]).max() <= 1


@pytest.mark.parametrize(
    ("layer", "granularity", "allowed"),
    [
        (nn.Conv2d(4, 4, 3), "per_axis:1", "per_axis:0"),
        (nn.ConvTranspose2d(4, 4, 3), "per_axis:0", "per_axis:1"),
    ],
)
def test_a_scale_for_each_input_is_refused(
    layer: nn.Module, granularity: str, allowed: str
) -> None:
    """Though there are as many inputs as outputs."""
    algorithm = {"kind": "ste", "num_bits": 8, "granularity": granularity}
    network = nn.Sequential(layer)
    quantize(network, [{"select": "*", "on": "weight", "algorithm": algorithm}])
    calibrate(network, [torch.randn(2, 4, 6, 6)])
    with pytest.raises(
        UsageError, match=f"weights quantized {granularity}; per_tensor or {allowed}"
    ):
        lower(network, spec_of((4, 6, 6)), torch.randn(2, 4, 6, 6))
