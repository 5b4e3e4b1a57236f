"""Networks compiled for inference against the networks that they were made of."""

import copy
import pickle
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, reject, settings
from torch import Tensor, nn

from quantlab import backend, calibrate, quantize
from quantlab.errors import UsageError
from quantlab.generation import MLGConv2d, MLGSpec
from quantlab.generation.execution import compile_for_inference
from quantlab.generation.execution import table as table_module
from quantlab.generation.execution.choice import fastest
from quantlab.generation.execution.mode import EXECUTION_MODES
from quantlab.generation.execution.one_layer import OneLayer
from quantlab.generation.execution.table import Table
from tests.quantlab.generation.execution.networks import TOPOLOGIES, generated, with_norms

VARIANTS = backend.kernels("factored")
SPEC = MLGSpec(base_in=2, base_out=3)


def error(y: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest number."""
    return float((y.double() - expected.double()).abs().max() / expected.abs().max())


def small(**changes: Any) -> nn.Sequential:
    layer: dict[str, Any] = {"kernel_size": 3, "padding": 1, **changes}
    return with_norms(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, bias=False),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            MLGConv2d(6, 9, spec=SPEC, **layer),
            nn.BatchNorm2d(9),
            nn.Flatten(),
            nn.Linear(9 * 36, 4),
        )
    ).eval()


BATCH = torch.randn(2, 3, 8, 8)


@st.composite
def layers(draw: st.DrawFn) -> tuple[MLGConv2d, tuple[int, int]]:
    """A generated layer of any window, groups and channels, and the size of an image."""
    groups = draw(st.integers(1, 3))
    kernel = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    dilation = (draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    padding = tuple(draw(st.integers(0, span - 1)) for span in spans)
    size = tuple(draw(st.integers(span, span + 9)) for span in spans)
    spec = MLGSpec(
        base_in=draw(st.integers(0, 3)),
        base_out=draw(st.integers(1, 18)),
        quantizer=draw(st.sampled_from(["dorefa_sym", "lsq", "midtread"])),
        basis_bit=draw(st.sampled_from([3, 8, 32])),
        coeff_out_bit=draw(st.sampled_from([3, 32])),
    )
    num_inputs, num_outputs = draw(st.integers(1, 21)), draw(st.integers(1, 21))
    try:
        layer = MLGConv2d(
            num_inputs * groups,
            num_outputs * groups,
            kernel,
            (draw(st.integers(1, 3)), draw(st.integers(1, 3))),
            padding,
            dilation,
            groups,
            draw(st.booleans()),
            spec=spec,
        )
    except UsageError:  # nothing would be generated, or more than the weight has
        reject()
    return layer, size


@settings(max_examples=12, deadline=None)
@given(layers(), st.integers(1, 3))
def test_all_modes_agree(drawn: tuple[MLGConv2d, tuple[int, int]], count: int) -> None:
    layer, size = drawn
    network = with_norms(nn.Sequential(layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU())).eval()
    x = torch.randn(count, layer.in_channels, *size)
    oracle = copy.deepcopy(network)
    oracle[0] = dense(layer)
    expected = oracle.double()(x.double()).detach()
    scale = 1 + float(expected.abs().max())
    for mode in EXECUTION_MODES:
        if mode == "two_stage" and layer.coeff_out is None:
            with pytest.raises(UsageError, match="mode 'two_stage' given for a weight without co"):
                compile_for_inference(network, x, mode=mode)
            continue
        made = compile_for_inference(network, x, mode=mode)
        for variant in VARIANTS if mode == "fused" else (None,):
            for table in tables(made):
                table.variant = variant
            torch.testing.assert_close(made(x).double(), expected, rtol=1e-5, atol=1e-5 * scale)


def dense(layer: MLGConv2d) -> nn.Conv2d:
    """The same convolution with a weight."""
    plain = nn.Conv2d(
        layer.in_channels, layer.out_channels, layer.kernel_size, layer.stride, layer.padding,
        layer.dilation, layer.groups, layer.bias is not None,
    )  # fmt: skip
    plain.weight = nn.Parameter(layer.weight.detach())
    plain.bias = copy.deepcopy(layer.bias)
    return plain


def tables(network: nn.Module) -> list[Table]:
    return [module for module in network.modules() if isinstance(module, Table)]


QUICK = (("ResNet", "auto"), ("DenseNet", "fused"), ("VGG", "generated"), ("LeNet", "fused"))


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        pytest.param(name, mode, marks=() if (name, mode) in QUICK else pytest.mark.long)
        for name in TOPOLOGIES
        for mode in ("auto", "fused", "generated")
    ],
)
def test_the_topologies(name: str, mode: str) -> None:
    network, x = generated(name)
    made = compile_for_inference(network, x, mode=mode)
    with torch.no_grad():
        assert error(made(x), network(x)) < 1e-5
        assert error(made(x[:1]), network(x[:1])) < 1e-5
    if mode == "fused":
        assert not [m for m in made.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
        if name != "MobileNetV3":
            assert isinstance(made.body, Table)
            assert not made.report.others


def test_what_runs_as_it_is_is_named() -> None:
    network = small()
    network[2] = nn.Hardswish()
    made = compile_for_inference(network, BATCH, mode="fused")
    assert made.report.others == ("2",)
    assert "between tables: 2" in str(made.report)
    with torch.no_grad():
        assert error(made(BATCH), network(BATCH)) < 1e-5


class Named(nn.Module):
    """Gives a tensor in a table, and another one by a name."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.last = small(), nn.Linear(4, 2)

    def forward(self, x: Tensor) -> dict[str, Any]:
        features = self.body(x)
        return {"features": [features], "scores": self.last(features)}


def test_results_of_any_form() -> None:
    network = Named().eval()
    made = compile_for_inference(network, BATCH, mode="fused")
    with torch.no_grad():
        found, expected = made(BATCH), network(BATCH)
    assert error(found["features"][0], expected["features"][0]) < 1e-5
    assert error(found["scores"], expected["scores"]) < 1e-5
    made = compile_for_inference(nn.Sequential(small(), Pair()), BATCH, mode="fused")
    assert isinstance(made(BATCH), tuple)


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x,)


class Doubled(nn.ReLU):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(2 * input)


class Shifted(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 1


class Halved(nn.MaxPool2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) / 2


class Tripled(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        return super().forward(3 * input)


@pytest.mark.parametrize("layer", [Doubled(), Shifted(6), Halved(3, 1), Tripled(6, 6, 1)], ids=str)
def test_layers_with_a_forward_pass_of_their_own_run_it(layer: nn.Module) -> None:
    convs = (nn.Conv2d(3, 6, 3), MLGConv2d(6, 9, 3, spec=SPEC))
    network = with_norms(nn.Sequential(convs[0], layer, convs[1], nn.ReLU())).eval()
    made = compile_for_inference(network, BATCH, mode="fused")
    assert made.report.others == ("1",)
    with torch.no_grad():
        assert error(made(BATCH), network(BATCH)) < 1e-5


@pytest.mark.parametrize("place", [0, 1, 2, 3, 5])
def test_hooks_run(place: int) -> None:
    network = small()
    network[place].register_forward_hook(lambda module, inputs, y: y + 1)
    made = compile_for_inference(network, BATCH, mode="fused")
    assert str(place) in made.report.others
    with torch.no_grad():
        assert error(made(BATCH), network(BATCH)) < 1e-5


def test_quantizers_of_outputs_run_as_they_do() -> None:
    network = small()
    rule = {"kind": "lsq", "num_bits": 4, "start_epoch": 0}
    quantize(network, [{"select": "2", "on": "output", "algorithm": rule}])
    calibrate(network, [BATCH])
    network.eval()
    made = compile_for_inference(network, BATCH, mode="fused")
    assert made.report.others == ("2.output_quantizer",)
    with torch.no_grad():
        assert error(made(BATCH), network(BATCH)) < 1e-5


def test_the_network_stays_as_it_is() -> None:
    network, x = generated("ResNet")
    network.train()
    before = copy.deepcopy(network.state_dict())
    names = [(name, type(module)) for name, module in network.named_modules()]
    compile_for_inference(network, x)
    assert [(name, type(module)) for name, module in network.named_modules()] == names
    assert all(module.training for module in network.modules())
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_what_was_compiled_does_not_follow_the_network() -> None:
    network = small()
    made = compile_for_inference(network, BATCH, mode="fused")
    before = made(BATCH)
    with torch.no_grad():
        for tensor in network.state_dict().values():
            tensor.zero_()
    assert torch.equal(made(BATCH), before)


def test_a_changed_network_is_noticed() -> None:
    network = small()
    made = compile_for_inference(network, BATCH)
    made.check_made_from(network)
    made.check_made_from(copy.deepcopy(network))
    with torch.no_grad():
        network[3].coeff_in[0, 0, 0] += 1e-3
    with pytest.raises(
        UsageError, match=r"network: weights of SHA-256 \w{16} given, compiled were"
    ):
        made.check_made_from(network)


@pytest.mark.parametrize("mode", ["fused", "factored"])
def test_it_owns_codes(mode: str) -> None:
    network, x = generated("VGG")
    made = compile_for_inference(network, x, mode={"features.conv2_1": mode})
    (row,) = [row for row in made.report.rows if row.layer == "features.conv2_1"]
    layer = network.features.conv2_1
    codes = layer.basis.numel() + layer.coeff_in.numel() + layer.coeff_out.numel()
    floats = 4 * (len(layer.coeff_out) * 2)  # ratio, bias
    padded = 16 * 5  # the kernels have whole blocks
    assert codes + floats <= row.sizes.held < padded * (codes + floats)
    assert made.report.bytes_held == sum(row.sizes.held for row in made.report.rows)
    held = [b for m in made.modules() if isinstance(m, OneLayer) for b in m.named_buffers()]
    if mode == "factored":
        assert {str(tensor.dtype) for name, tensor in held if name in ("basis", "coeff_in")} == {
            "torch.int8"
        }


def test_quantizers_of_inputs_run_as_they_do() -> None:
    network = small()
    rule = {"kind": "lsq", "num_bits": 4, "start_epoch": 0}
    quantize(network, [{"select": "!first", "on": "input", "algorithm": rule}])
    calibrate(network, [BATCH])
    network.eval()
    made = compile_for_inference(network, BATCH, mode="fused")
    assert made.report.others == ("3.input_quantizer", "5", "6.input_quantizer")
    with torch.no_grad():
        assert error(made(BATCH), network(BATCH)) < 1e-5


def test_quantizers_that_are_off_are_left_out() -> None:
    network = small()
    rule = {"kind": "lsq", "num_bits": 4, "start_epoch": 3}
    quantize(network, [{"select": "!first", "on": "input", "algorithm": rule}])
    made = compile_for_inference(network.eval(), BATCH, mode="fused")
    assert made.report.others == ()
    with torch.no_grad():
        assert error(made(BATCH), network(BATCH)) < 1e-5


def test_quantized_weights_of_dense_layers_stay_codes() -> None:
    network = small()
    rule = {"kind": "lsq", "num_bits": 8, "start_epoch": 0, "granularity": "per_axis"}
    quantize(network, [{"select": "last", "on": "weight", "algorithm": rule}])
    calibrate(network, [BATCH])
    network.eval()
    made = compile_for_inference(network, BATCH, mode="fused")
    (row,) = [row for row in made.report.rows if row.layer == "6"]
    assert row.sizes.held < 2 * network[6].weight.numel() * 4
    with torch.no_grad():
        assert error(made(BATCH), network(BATCH)) < 1e-5


def test_the_fastest_mode_is_taken() -> None:
    made = compile_for_inference(small(), BATCH)
    (row,) = [row for row in made.report.rows if row.layer == "3"]
    assert set(row.seconds) == set(EXECUTION_MODES)
    assert row.mode == fastest(row.seconds)


@pytest.mark.parametrize(
    ("fused", "mode"), [(1.05, "fused"), (0.5, "fused"), (1.2, "two_stage"), (9.0, "two_stage")]
)
def test_fused_layers_save_more_than_is_seen_of_one(fused: float, mode: str) -> None:
    assert fastest({"generated": 3.0, "two_stage": 1.0, "fused": fused}) == mode


def test_modes_by_selector() -> None:
    modes = {"*": "fused", "3": "two_stage"}
    made = compile_for_inference(small(), BATCH, mode=modes)
    assert [(row.layer, row.mode) for row in made.report.rows] == [
        ("0", "fused"),
        ("3", "two_stage"),
        ("6", "fused"),
    ]
    assert "two_stage" in str(made.report)


@pytest.mark.parametrize(
    ("modes", "line"),
    [
        ("fsued", "mode: 'fsued' given, auto, generated, .* allowed; did you mean 'fused'"),
        (3, "mode: a int given, a mode, or a table of modes by selector, allowed"),
        ({"3": "fsued"}, "mode: 'fsued' given"),
        ({"4x": "fused"}, "mode: select: '4x' matches no layer"),
        ({"first": "factored"}, "layer '0': mode 'factored' given for a dense layer; generated"),
    ],
)
def test_modes_that_there_are_not(modes: Any, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        compile_for_inference(small(), BATCH, mode=modes)


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"padding_mode": "reflect"}, "given for a padding by 'reflect'; generated, .* allowed"),
        ({"kernel_size": (3, 2), "padding": "same"}, "padding that differs .left 0, right 1"),
    ],
)
def test_layers_that_no_kernel_computes(changes: dict[str, Any], line: str) -> None:
    network = small(**changes)
    with pytest.raises(UsageError, match=f"layer '3': mode 'fused' {line}|{line}"):
        compile_for_inference(network, BATCH, mode="fused")
    made = compile_for_inference(network, BATCH)
    with torch.no_grad():
        assert error(made(BATCH), network(BATCH)) < 1e-5


@pytest.mark.parametrize(
    ("x", "line"),
    [
        (torch.zeros(2, 3, 8, 9), r"x: a shape of \[2, 3, 8, 9\] given, \[N, 3, 8, 8\] allowed"),
        (torch.zeros(0, 3, 8, 8), "x: a shape of"),
        (torch.zeros(3, 8, 8), "x: a shape of"),
        (BATCH.double(), "x: torch.float64 on cpu given, torch.float32 on cpu allowed"),
        (BATCH.clone().requires_grad_(), "x: a tensor that requires a gradient given"),
        (BATCH.numpy(), "x: a ndarray given, a tensor allowed"),
    ],
)
def test_other_inputs(x: Any, line: str) -> None:
    made = compile_for_inference(small(), BATCH, mode="fused")
    with pytest.raises(UsageError, match=line):
        made(x)


def test_other_networks() -> None:
    with pytest.raises(UsageError, match=r"network: '0.weight' of torch.float64 on cpu given"):
        compile_for_inference(small().double(), BATCH.double())
    with pytest.raises(UsageError, match=r"network: a str given"):
        compile_for_inference("x", BATCH)
    with pytest.raises(UsageError, match=r"example: node '_0' \(Conv2d\) does not take"):
        compile_for_inference(small(), torch.zeros(2, 4, 8, 8))


def test_what_it_is_not_for() -> None:
    made = compile_for_inference(small(), BATCH, mode="fused")
    with pytest.raises(UsageError, match="train: a network compiled for inference given"):
        made.train()
    with pytest.raises(UsageError, match=r"to: torch.float16 on cpu given"):
        made.half()
    with pytest.raises(UsageError, match="pickle: a network compiled for inference given"):
        pickle.dumps(made)
    assert torch.equal(copy.deepcopy(made).to("cpu").eval()(BATCH), made(BATCH))


def test_channels_last_is_not_copied() -> None:
    x = BATCH.contiguous(memory_format=torch.channels_last)
    assert np.shares_memory(table_module.image_of(x), x.numpy())
    made = compile_for_inference(small(), x, mode="fused")
    assert torch.equal(made(x), made(BATCH))


@pytest.mark.parametrize("variant", backend.kernels("factored_bf16"))
def test_sixteen_bits(variant: str) -> None:
    network = small()
    made = compile_for_inference(network, BATCH, mode="fused", precision="bfloat16")
    for table in tables(made):
        table.variant = variant
    with torch.no_grad():
        assert 1e-5 < error(made(BATCH), network(BATCH)) < 3e-2


def test_precisions_that_there_are_not() -> None:
    line = "precision: 'bfloat61' given, float32, bfloat16 allowed; did you mean 'bfloat16'"
    with pytest.raises(UsageError, match=line):
        compile_for_inference(small(), BATCH, precision="bfloat61")


def test_the_same_bits_on_any_number_of_threads() -> None:
    network, x = generated("ResNet")
    made = compile_for_inference(network, x, mode="fused")
    before, scores = torch.get_num_threads(), []
    try:
        for count in (1, 2, 4):
            torch.set_num_threads(count)
            scores += [made(x), torch.cat([made(one[None]) for one in x])]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found, scores[0]) for found in scores)
