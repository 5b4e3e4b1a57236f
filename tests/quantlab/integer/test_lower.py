"""The integer program of a network against the network itself."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from quantlab.errors import UsageError
from quantlab.graphs.trace import trace
from quantlab.integer.bounds import Bound
from quantlab.integer.file import to_bytes
from quantlab.integer.interpreter import compute, execute, run
from quantlab.integer.lower import InputSpec, lower, obstacles
from quantlab.integer.lower.grid import Grid, byte_grid, fine_grid
from quantlab.integer.lower.multipliers import choose
from quantlab.integer.lower.thresholds import thresholds_for
from quantlab.integer.lower.value import Term, Value
from quantlab.integer.operations import Add, Threshold
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16
from quantlab.vision import torchvision
from tests.quantlab.integer.networks import SPEC, Residual, pixels, plain, reals, settled
from tests.quantlab.integer.random_networks import Both, Chain, calibrated


def scores(program: Program, raw: torch.Tensor) -> np.ndarray:
    (name,) = program.outputs
    return program.reals[name](run(program, {"input": raw.numpy()})[name])


@settings(max_examples=25, deadline=None)
@given(
    bits=st.sampled_from([2, 3, 4, 8]), seed=st.integers(0, 1000), levels=st.sampled_from([0, 4])
)
def test_a_chain_computes_what_the_network_computes(bits: int, seed: int, levels: int) -> None:
    """In float64 the two differ only within 2^-30 of a tie, which random numbers do not meet."""
    network = settled(plain(), bits, seed)
    program = lower(network, SPEC, threshold_levels=levels)
    raw = pixels(20, seed + 1)
    with torch.no_grad():
        wanted = network(reals(raw)).numpy()
    np.testing.assert_allclose(
        scores(program, raw), wanted, rtol=1e-6, atol=1e-6 * abs(wanted).max()
    )
    kinds = {type(operation) for operation in program.operations}
    assert (Threshold in kinds) == (bits == 2 and levels == 4)


def test_a_batch_norm_behind_the_last_sums_is_in_their_reading() -> None:
    layers = (nn.Conv2d(3, 4, 3), nn.Conv2d(4, 1, 3), nn.BatchNorm2d(1))
    network = settled(nn.Sequential(*layers), 8)
    with torch.no_grad():
        network[2].weight.fill_(-2.5)
        raw = pixels(20, 5)
        wanted = network(reals(raw)).numpy()
    np.testing.assert_allclose(scores(lower(network, SPEC), raw), wanted, rtol=1e-6, atol=1e-5)


def test_residuals_are_added_without_rounding_either_side() -> None:
    network = settled(Residual(), 8)
    raw = pixels(30, 5)
    program = lower(network, SPEC, reals(pixels(64)))
    with torch.no_grad():
        wanted = network(reals(raw)).numpy()
    found = scores(program, raw)
    assert np.abs(found - wanted).max() < 0.02 * np.abs(wanted).max()
    assert sum(isinstance(operation, Add) for operation in program.operations) >= 2
    assert any(program.types[o.output].kind == S16 for o in program.operations)


def test_without_samples_a_value_without_a_quantizer_is_refused() -> None:
    with pytest.raises(UsageError, match="has no quantizer; put one there, or give samples"):
        lower(settled(Residual(), 8), SPEC)


def test_codes_are_those_of_training() -> None:
    network = settled(plain(), 4)
    program = lower(network, SPEC)
    raw = pixels(20, 3)
    seen: list[torch.Tensor] = []
    quantizer = network[4].input_quantizer
    network[4].register_forward_pre_hook(lambda _, inputs: seen.append(quantizer.codes(inputs[0])))
    with torch.no_grad():
        network(reals(raw))
    tensors = dict(execute(program, {"input": raw.numpy()}))
    (name,) = [o.inputs[0] for o in program.operations if o.layer == "4"]
    assert np.array_equal(tensors[name], seen[0].numpy())


@given(
    seed=st.integers(0, 2**32 - 1),
    levels=st.sampled_from([(0, 3, 1), (-2, 1, 1), (-1, 1, 2), (0, 1, 1)]),
)
def test_thresholds_are_exact_for_every_accumulator(
    seed: int, levels: tuple[int, int, int]
) -> None:
    """All accumulators that the proof allows, through the quantizer's own formula."""
    random = np.random.default_rng(seed)
    low, high, step = levels

    def encode(x: np.ndarray) -> np.ndarray:
        steps = np.floor((x / 0.37 - low) / step + 0.5)
        return (low + step * np.clip(steps, 0, (high - low) // step)).astype(np.int64)

    grid = Grid(
        scale=np.array(0.37), zero_point=np.array(0), low=low, high=high, step=step, kind=S8,
        encode=encode,
    )  # fmt: skip
    scale, offset = random.normal(0, 0.01, (4, 1, 1)), random.normal(0, 0.5, (4, 1, 1))
    value = Value(
        terms=(Term(tensor="x", scale=scale),), offset=offset, shape=(4, 1, 1), node="n", low=0.0
    )
    bound = Bound(low=np.array([-3000], object), high=np.array([2500], object))
    operation = thresholds_for(value, grid, {"x": bound}, "y")
    x = np.arange(-3000, 2501)[:, None, None, None] * np.ones((4, 1, 1), np.int32)
    wanted = encode(np.maximum(x * scale + offset, 0.0))
    assert np.array_equal(compute(operation, [x.astype(np.int32)]), wanted)


WEIGHTS = {"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 8}}
FIRST = {"select": "first", "on": "output", "algorithm": {"kind": "ste", "num_bits": 8}}
BINARY = {"kind": "binary"}
FEW = {"kind": "lsq", "num_bits": 2, "signed": True}


def by_place() -> Chain:
    """As many places as channels, so that one may be taken for the other; ties are rare."""
    average = nn.AvgPool2d(3, 3, 1, count_include_pad=False)
    return Chain(nn.Conv2d(3, 9, 1), nn.Sequential(average, nn.BatchNorm2d(9)), nn.Conv2d(9, 5, 1))


def by_output() -> Chain:
    """A linear layer on as many vectors as it has outputs."""
    return Chain(nn.Linear(9, 3), nn.Identity(), nn.Linear(3, 5))


def of_two() -> Chain:
    """A sum of two tensors, clamped."""
    both = Both("add", nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1))
    middle = nn.Sequential(nn.BatchNorm2d(4), nn.Hardtanh(-0.5, 0.7))
    return Chain(both, middle, nn.Conv2d(4, 5, 1))


@pytest.mark.parametrize("algorithm", [BINARY, FEW])
@pytest.mark.parametrize(("make", "rules"), [(by_place, [FIRST]), (by_output, []), (of_two, [])])
def test_few_levels_of_what_has_no_row_of_thresholds_a_channel_are_the_networks(
    make: Callable[[], Chain], rules: list[dict[str, Any]], algorithm: dict[str, Any]
) -> None:
    last = {"select": "last", "on": "input", "algorithm": algorithm}
    case = calibrated(make(), SPEC, [WEIGHTS, *rules, last], is_odd=False)
    raw = pixels(20, 7)
    with torch.no_grad():
        wanted = case.network(reals(raw)).numpy()
    found = scores(lower(case.network, SPEC, case.samples), raw)
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-6 * abs(wanted).max())


@pytest.mark.parametrize("make", [fine_grid, byte_grid])
@pytest.mark.parametrize(("low", "high"), [(0.0, 0.0), (-1e-9, 0.0), (-3.0, 2.0), (1.0, 4.0)])
def test_grids_reach_what_was_observed_and_clamp_the_rest(
    make: Callable[[float, float], Grid], low: float, high: float
) -> None:
    """Where all was zero they have steps that numbers of a usual size can be counted in."""
    grid = make(low, high)
    seen = np.array([low, 0.0, high])
    assert np.abs((grid.encode(seen) - grid.zero_point) * grid.scale - seen).max() <= grid.scale
    assert grid.encode(np.array([-1e100, 1e100])).tolist() == [grid.low, grid.high]
    if low == high:
        assert grid.scale > 1e-5


@pytest.mark.parametrize(("factor", "offset"), [(5e32, 0.5), (0.1, 1e30)])
def test_codes_too_fine_for_their_sums_are_refused(factor: float, offset: float) -> None:
    bound = Bound(low=np.array([-1], object), high=np.array([1], object))
    with pytest.raises(
        UsageError, match=r"a factor of .* given, .* range of the codes, .*, is too small for what"
    ):
        choose([np.array(factor)], np.array(offset), [bound], "fc")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n: n.insert(2, nn.Softmax(1)), "Softmax has no integer operation"),
        (
            lambda n: n[0].weight_quantizer.set_enabled(False),
            "layer '0': its weight has a quantizer that has not wholly started; train for more",
        ),
        (
            lambda n: n[4].input_quantizer.set_enabled(False),
            r"4\.input_quantizer: in the float stage",
        ),
    ],
)
def test_what_cannot_be_lowered(change, message: str) -> None:
    network = settled(plain(), 4)
    change(network)
    with pytest.raises(UsageError, match=message):
        lower(network, SPEC, reals(pixels(8)))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize(
    "name", ["0.weight", "0.bias", "1.running_mean", "1.running_var", "5.weight", "5.bias"]
)
def test_numbers_that_are_not_finite_are_named(name: str, number: float) -> None:
    network = settled(plain(), 4)
    with torch.no_grad():
        network.state_dict()[name].view(-1)[0] = number
    kind = "NaN" if np.isnan(number) else "infinite numbers"
    with pytest.raises(UsageError, match=rf"^{name}: {kind} given, finite numbers allowed"):
        lower(network, SPEC)


def test_samples_and_scales_that_are_not_finite_are_named() -> None:
    network = settled(plain(), 4)
    samples = reals(pixels(8))
    samples[3, 0, 2, 2] = float("nan")
    with pytest.raises(UsageError, match=r"^samples: NaN given, finite numbers allowed"):
        lower(network, SPEC, samples)
    with torch.no_grad():
        next(network[4].input_quantizer.parameters()).fill_(float("inf"))
    with pytest.raises(UsageError, match=r"^4\.input_quantizer\.scale: inf given, a finite one"):
        lower(network, SPEC)


def test_values_that_overflow_are_named() -> None:
    """On samples, in float32; and in the factors of the program."""
    layers = (nn.Conv2d(3, 4, 3), nn.Identity(), nn.AvgPool2d(3), nn.Conv2d(4, 5, 1))
    network = settled(nn.Sequential(*layers), 8).float()
    network[1] = Huge()
    with pytest.raises(UsageError, match=r"^layer '1\.multiply_1': values on samples that are not"):
        lower(network, SPEC, reals(pixels(8)).float())
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Identity(), nn.Conv2d(4, 5, 1)), 8)
    network[1] = nn.Sequential(*(Huge() for _ in range(6)))
    with pytest.raises(UsageError, match=r"^layer '1\.5\.multiply': a number that is not finite"):
        lower(network, SPEC)


class Huge(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * 1e30 * 1e30


def test_channels_of_a_raw_image_with_scales_of_their_own() -> None:
    spec = InputSpec(shape=(3, 9, 9), scale=(0.02, 0.025, 0.017), zero_point=(120, 3, 250))
    network = settled(plain(), 8)
    raw = pixels(50, 2)
    with torch.no_grad():
        wanted = network(reals(raw, spec)).numpy()
    found = scores(lower(network, spec), raw)
    assert np.abs(found - wanted).max() < 0.05 * np.abs(wanted).max()


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(UsageError, match="2 scales and 3 zero points given, 3 of each"):
        InputSpec(shape=(3, 9, 9), scale=(0.1, 0.1), zero_point=(0, 0, 0))
    with pytest.raises(UsageError, match=r"samples: \[3, 8, 9\] given, \[3, 9, 9\] allowed"):
        lower(settled(plain()), SPEC, torch.zeros(2, 3, 8, 9))
    spec = InputSpec(shape=(3, 15, 15), scale=SPEC.scale, zero_point=SPEC.zero_point)
    with pytest.raises(
        UsageError, match=r"^example: node '_8' \(.*Linear\) .* cannot be multip"
    ) as e:
        lower(settled(plain()), spec)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(
    ("scale", "zero_point", "message"),
    [
        ((1 / 255,), (123.675,), r"zero points \(123.675,\) given, whole numbers from 0 to 255"),
        ((1 / 255,), (256,), "whole numbers from 0 to 255 allowed"),
        ((0.0,), (3,), r"scales \(0.0,\) given, finite ones above 0 allowed"),
        ((-1.0,), (3,), "finite ones above 0"),
        ((float("nan"),), (3,), "finite ones above 0"),
    ],
)
def test_what_integers_cannot_stand_for_is_refused(
    scale: tuple[float, ...], zero_point: tuple[int, ...], message: str
) -> None:
    """A zero point that is no integer was cut: every output was off, with 0 mismatches."""
    with pytest.raises(UsageError, match=message):
        InputSpec(shape=(1, 4, 4), scale=scale, zero_point=zero_point)


def test_a_graph_is_lowered_as_its_network() -> None:
    network = settled(plain(), 4)
    graph = trace(network)
    assert to_bytes(lower(graph, SPEC)) == to_bytes(lower(network, SPEC))


class Blocks(nn.Module):
    """Residual blocks in a row, as deep as errors need to grow."""

    def __init__(self, num_blocks: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.convs = nn.ModuleList(nn.Conv2d(16, 16, 3, padding=1) for _ in range(num_blocks))
        self.bns = nn.ModuleList(nn.BatchNorm2d(16) for _ in range(num_blocks))
        self.relus = nn.ModuleList(nn.ReLU() for _ in range(num_blocks))
        self.fc = nn.Linear(16 * 81, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        for conv, bn, relu in zip(self.convs, self.bns, self.relus, strict=True):
            x = relu(x + bn(conv(x)))
        scores: torch.Tensor = self.fc(x.flatten(1))
        return scores


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_deep_sums_give_the_very_codes_of_training(bits: int) -> None:
    """On an image whose channels have a common grid: no code of any quantizer differs."""
    spec = InputSpec(shape=(3, 9, 9), scale=(0.02, 0.02 * 126 / 128, 0.01), zero_point=(9, 120, 0))
    weights = {"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 4}}
    inputs = {"kind": "lsq", "num_bits": bits, "signed": False}
    rules = [weights, {"select": "!first", "on": "input", "algorithm": inputs}]
    case = calibrated(Blocks(8), spec, rules, is_odd=False)
    program = lower(case.network, spec, case.samples)
    expected: dict[str, torch.Tensor] = {}
    for path, module in case.network.named_modules():
        if path.endswith("input_quantizer"):

            def note(module: Any, inputs: Any, path: str = path) -> None:
                expected[path] = module.codes(inputs[0])

            module.register_forward_pre_hook(note)
    raw = pixels(10, 4)
    with torch.no_grad():
        case.network(reals(raw, spec))
    assert len(expected) == 9
    tensors = dict(execute(program, {"input": raw.numpy()}))
    for path, codes in expected.items():
        found = tensors[program.quantizers[path]].reshape(codes.shape)
        assert len(np.unique(found)) > 1
        np.testing.assert_array_equal(found, codes.numpy())


def test_what_torchvision_leaves_out_in_training_alone_passes() -> None:
    """`StochasticDepth` looks at the mode and has no parameters; it is not looked into."""
    depth = torchvision.ops.StochasticDepth(0.5, "row")
    first, last = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 1, 3)
    with_depth = settled(nn.Sequential(first, depth, last), 8)
    without = nn.Sequential(*(nn.Identity() if one is depth else one for one in with_depth))
    assert obstacles(with_depth) == []
    assert to_bytes(lower(with_depth, SPEC)) == to_bytes(lower(without, SPEC))
