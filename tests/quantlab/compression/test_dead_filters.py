"""Networks without their dead filters compute what they computed before.

The oracle is the network as it was given, in float64; which channels can go is counted by hand.
"""

import copy
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from problems.CIFAR10.ResNet.network import ResNet
from problems.images.inverted_residual import InvertedResidual
from problems.images.residual import BasicBlock
from problems.SpokenDigits.DSCNN.network import DSCNN
from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.compression.dead_filters import (
    Removed,
    cut_masks,
    cut_state,
    remove_dead_filters,
)
from quantlab.deploy.c.model import c_model
from quantlab.errors import UsageError
from quantlab.graphs.shapes import evaluating
from quantlab.integer.interpreter import run
from quantlab.integer.lower import InputSpec, lower
from quantlab.sparse.pruning import apply_masks, uniform_magnitude
from quantlab.sparse.zeros import hold_zeros
from tests.quantlab.compression.networks import SIDE, fill, num_weights, random_network
from tests.quantlab.integer.random_networks import Case, cases

TOLERANCE = 1e-9


def check(network: nn.Module, example: Tensor) -> Removed:
    """Return a network without its dead filters, which computes the same on other inputs."""
    before = copy.deepcopy(network.state_dict())
    removed = remove_dead_filters(network, example)
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())
    others = torch.randn((5, *example.shape[1:]), dtype=example.dtype)
    with torch.no_grad(), evaluating(network), evaluating(removed.network):
        expected, made = network(others), removed.network(others)
    assert made.shape == expected.shape
    assert float((made - expected).abs().max()) <= TOLERANCE * max(1, float(expected.abs().max()))
    return removed


def shapes(removed: Removed) -> dict[str, tuple[int, ...]]:
    return {row.layer: row.new_shape for row in removed.rows if row.new_shape is not None}


def settled(network: nn.Module, seed: int = 0, dead: float = 0.0) -> nn.Module:
    network = network.double().eval()
    fill(network, seed, dead=dead)
    return network


def zero(layer: Any, *, rows: Any = (), columns: Any = ()) -> None:
    with torch.no_grad():
        layer.weight[list(rows)] = 0
        layer.weight[:, list(columns)] = 0


def images(channels: int = 3, side: int = 6) -> Tensor:
    return torch.randn(2, channels, side, side, dtype=torch.float64)


@settings(max_examples=4, deadline=None)
@given(st.integers(0, 10**9))
def test_random_networks_compute_the_same(seed: int) -> None:
    network, x = random_network(seed), images(side=SIDE)
    removed = check(network, x)
    assert num_weights(removed.network) <= num_weights(network)
    again = remove_dead_filters(removed.network, x)
    assert not again.kept


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(st.integers(0, 10**9))
def test_many_random_networks_compute_the_same(seed: int) -> None:
    check(random_network(seed), images(side=SIDE))


def test_most_random_networks_become_smaller() -> None:
    networks = [random_network(seed) for seed in range(6)]
    made = [remove_dead_filters(network, images(side=SIDE)).network for network in networks]
    pairs = zip(made, networks, strict=True)
    assert sum(num_weights(m) < num_weights(n) for m, n in pairs) > 4


def test_dead_and_unread_filters_go() -> None:
    network = settled(
        nn.Sequential(
            nn.Conv2d(3, 6, 3, bias=False),
            nn.ReLU(),
            nn.Conv2d(6, 5, 3),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(5, 4),
        )
    )
    zero(network[0], rows=[1, 4])
    zero(network[2], columns=[0])
    zero(network[5], columns=[3])
    removed = check(network, images())
    assert shapes(removed) == {"0": (3, 3, 3, 3), "2": (4, 3, 3, 3), "5": (4, 4)}
    assert removed.network.get_submodule("2").out_channels == 4
    assert [str(row) for row in removed.rows][2] == "5: 4 x 5 to 4 x 4"
    assert torch.equal(removed.kept["0.weight"][0], torch.tensor([2, 3, 5]))


def test_removal_goes_on_until_nothing_goes() -> None:
    """The last layer reads nothing of a channel, for which the one before reads another one."""
    network = settled(nn.Sequential(*(nn.Linear(4, 4) for _ in range(5)), nn.Linear(4, 2)))
    zero(network[5], columns=[3])
    for number in range(1, 5):
        zero(network[number], rows=[0, 1, 2], columns=[])
        with torch.no_grad():
            network[number].weight[:3, :3] = torch.randn(3, 3)
    removed = check(network, torch.randn(2, 4, dtype=torch.float64))
    assert shapes(removed) == {str(n): (3, 4 if n == 0 else 3) for n in range(5)} | {"5": (2, 3)}


@pytest.mark.parametrize("beta", [-1.0, 0.7])
def test_a_constant_behind_a_batch_norm_is_folded_into_a_linear_layer(beta: float) -> None:
    network = settled(
        nn.Sequential(
            nn.Conv2d(3, 4, 3, bias=False),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3, bias=False),
        )
    )
    zero(network[0], rows=[2])
    norm = network[1]
    with torch.no_grad():
        norm.bias[2] = beta
        norm.running_mean[2] = 0
    removed = check(network, images())
    assert shapes(removed) == {"0": (3, 3, 3, 3), "5": (3, 3)}
    assert removed.network.get_submodule("1").num_features == 3
    assert removed.added == (("5.bias",) if beta > 0 else ())


@pytest.mark.parametrize(
    ("padding", "mode", "beta", "goes"),
    [
        (0, "zeros", 0.7, True),
        (1, "zeros", 0.7, False),
        (1, "zeros", -0.7, True),
        ("same", "zeros", 0.7, False),
        ("valid", "zeros", 0.7, True),
        (1, "circular", 0.7, True),
        (1, "replicate", 0.7, True),
    ],
)
def test_a_constant_is_folded_into_a_convolution_unless_the_border_differs(
    padding: Any, mode: str, beta: float, goes: bool
) -> None:
    network = settled(
        nn.Sequential(
            nn.Conv2d(3, 4, 1),
            nn.ReLU(),
            nn.Conv2d(4, 2, 3, padding=padding, padding_mode=mode),
        )
    )
    zero(network[0], rows=[1])
    with torch.no_grad():
        network[0].bias[1] = beta
    removed = check(network, images())
    assert shapes(removed)["0"][0] == 4 - goes


class Joined(nn.Module):
    """Two layers, joined, and one that reads the result."""

    def __init__(self, join: Callable[[Tensor, Tensor], Tensor], reader: nn.Module) -> None:
        super().__init__()
        self.left, self.right = nn.Conv2d(3, 4, 1, bias=False), nn.Conv2d(3, 4, 1, bias=False)
        self.join, self.reader = join, reader

    def forward(self, x: Tensor) -> Tensor:
        return self.reader(self.join(self.left(x), self.right(x)))


def test_a_channel_of_a_sum_goes_only_from_all_terms() -> None:
    network = settled(Joined(torch.add, nn.Conv2d(4, 2, 1)))
    zero(network.left, rows=[0, 1])
    zero(network.right, rows=[1, 2])
    assert shapes(check(network, images())) == {
        "left": (3, 3, 1, 1),
        "right": (3, 3, 1, 1),
        "reader": (2, 3, 1, 1),
    }


def test_a_channel_of_a_product_goes_if_one_factor_is_zero() -> None:
    network = settled(Joined(torch.mul, nn.Conv2d(4, 2, 1)))
    zero(network.left, rows=[0, 1])
    zero(network.right, rows=[1, 2])
    assert shapes(check(network, images()))["left"] == (1, 3, 1, 1)


def test_channels_of_a_concatenation_go_each_by_itself() -> None:
    network = settled(Joined(lambda x, y: torch.cat([x, y], 1), nn.Conv2d(8, 2, 1)))
    zero(network.left, rows=[0])
    zero(network.right, rows=[1, 2])
    removed = check(network, images())
    assert shapes(removed) == {
        "left": (3, 3, 1, 1),
        "right": (2, 3, 1, 1),
        "reader": (2, 5, 1, 1),
    }
    assert torch.equal(removed.kept["reader.weight"][1], torch.tensor([1, 2, 3, 4, 7]))


@pytest.mark.parametrize(
    "join", [lambda x, y: torch.cat([x, y], 2), lambda x, y: torch.maximum(x, y)]
)
def test_other_joins_are_safe(join: Callable[[Tensor, Tensor], Tensor]) -> None:
    network = settled(Joined(join, nn.Conv2d(4, 2, 1)))
    zero(network.left, rows=[0, 1])
    zero(network.right, rows=[1, 2])
    check(network, images())


@pytest.mark.parametrize("beta", [0.0, 0.7])
def test_a_constant_branch_goes_with_its_layers(beta: float) -> None:
    block = BasicBlock(4, 4)
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 1), block, nn.Conv2d(4, 2, 1)))
    zero(block.conv2, rows=range(4))
    with torch.no_grad():
        block.bn2.bias.fill_(beta)
        block.bn2.running_mean.zero_()
    removed = check(network, images())
    assert shapes(removed) == {"0": (4, 3, 1, 1), "2": (2, 4, 1, 1)}
    assert str(removed.rows[1]) == "1.conv1: 4 x 4 x 3 x 3, removed"
    assert removed.added == (("_1_add_constant",) if beta else ())
    assert set(removed.gone) == {f"1.{name}" for name in block.state_dict()}
    state = cut_state(network.state_dict(), removed)
    assert set(state) == set(removed.network.state_dict()) - set(removed.added)


def test_a_constant_that_became_a_parameter_is_cut_with_its_channels() -> None:
    block = BasicBlock(4, 4)
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 1), block, nn.Conv2d(4, 2, 1)))
    zero(block.conv2, rows=range(4))
    first = remove_dead_filters(network, images()).network
    zero(first.get_submodule("2"), columns=[1, 3])
    second = check(first, images())
    assert shapes(second) == {"0": (2, 3, 1, 1), "2": (2, 2, 1, 1)}
    assert second.network.get_parameter("_1_add_constant").shape == (1, 2, 1, 1)


def test_a_network_of_a_dropped_branch_lowers() -> None:
    block = BasicBlock(4, 4)
    network = settled(nn.Sequential(nn.Conv2d(2, 4, 1), block, nn.Conv2d(4, 2, 1))).float()
    zero(block.conv2, rows=range(4))
    smaller = remove_dead_filters(network, torch.randn(2, 2, 6, 6)).network
    x = torch.randn(16, 2, 6, 6)
    quantize(smaller, RULES)
    calibrate(smaller, [x])
    assert c_model(lower(smaller, SPEC, x), "smallest").sizes.flash < 400


@pytest.mark.parametrize(("multiple", "dead"), [(1, [1]), (2, [2, 3])])
def test_depthwise_filters_go_with_their_channels(multiple: int, dead: list[int]) -> None:
    network = settled(
        nn.Sequential(
            nn.Conv2d(3, 4, 1),
            nn.Conv2d(4, 4 * multiple, 3, padding=1, groups=4, bias=False),
            nn.Conv2d(4 * multiple, 2, 1),
        )
    )
    zero(network[1], rows=dead)
    removed = check(network, images())
    assert shapes(removed) == {
        "0": (3, 3, 1, 1),
        "1": (3 * multiple, 1, 3, 3),
        "2": (2, 3 * multiple, 1, 1),
    }
    assert removed.network.get_submodule("1").groups == 3


def test_groups_go_as_a_whole() -> None:
    network = settled(
        nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 3, groups=3), nn.Conv2d(6, 2, 1))
    )
    zero(network[1], rows=[0, 1, 4])
    removed = check(network, images())
    assert shapes(removed) == {"0": (4, 3, 1, 1), "1": (4, 2, 3, 3), "2": (2, 4, 1, 1)}


def test_transposed_convolutions() -> None:
    network = settled(
        nn.Sequential(
            nn.Conv2d(3, 4, 1), nn.ConvTranspose2d(4, 5, 2, 2, bias=False), nn.Conv2d(5, 2, 1)
        )
    )
    zero(network[1], rows=[0], columns=[1, 2])
    removed = check(network, images())
    assert shapes(removed) == {"0": (3, 3, 1, 1), "1": (3, 3, 2, 2), "2": (2, 3, 1, 1)}


class Views(nn.Module):
    """LeNet's head as its tutorials write it: the number of features is in the code."""

    def __init__(self, flat: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.fc, self.flat = nn.Conv2d(3, 4, 3), nn.Linear(16, 2), flat

    def forward(self, x: Tensor) -> Tensor:
        x = functional.max_pool2d(functional.relu(self.conv(x)), 2)
        return self.fc(self.flat(x))


@pytest.mark.parametrize(
    "flat",
    [
        lambda x: x.view(-1, 16),
        lambda x: x.view(x.size(0), -1),
        lambda x: torch.reshape(x, (x.shape[0], 16)),
        lambda x: torch.flatten(x, 1),
    ],
)
def test_features_of_flattened_channels_go(flat: Callable[[Tensor], Tensor]) -> None:
    network = settled(Views(flat))
    zero(network.conv, rows=[1])
    removed = check(network, images())
    assert shapes(removed) == {"conv": (3, 3, 3, 3), "fc": (2, 12)}
    places = [0, 1, 2, 3, 8, 9, 10, 11, 12, 13, 14, 15]
    assert removed.kept["fc.weight"][1].tolist() == places


@pytest.mark.parametrize(
    "flat",
    [
        lambda x: x.view(x.size(0), 2, 8).flatten(1),
        lambda x: x.permute(0, 2, 3, 1).flatten(1),
        lambda x: torch.cat(x.chunk(2, 1), 1).flatten(1),
        lambda x: (x / x.size(1)).flatten(1),
        lambda x: x[:, [3, 1, 2, 0]].flatten(1),
    ],
)
def test_what_is_not_known_stays(flat: Callable[[Tensor], Tensor]) -> None:
    network = settled(Views(flat))
    zero(network.conv, rows=[1])
    assert not check(network, images()).kept


class Twice(nn.Module):
    """One layer called twice, and another module of the same weight."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.conv = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 4, 1)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(torch.relu(self.stem(x)))
        return self.head(self.conv(torch.relu(x)))


def test_shared_layers_lose_the_same_channels() -> None:
    network = settled(Twice())
    zero(network.stem, rows=[1, 2])
    with torch.no_grad():
        network.stem.bias[1:3] = 0
        network.conv.bias[1:3] = 0
    zero(network.conv, rows=[1], columns=[1])
    removed = check(network, images())
    assert shapes(removed)["conv"] == shapes(removed)["conv_1"] == (3, 3, 1, 1)
    first, second = (removed.network.get_submodule(name) for name in ("conv", "conv_1"))
    assert first.weight is second.weight


def test_weights_that_a_module_aside_has_too_stay() -> None:
    network = settled(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)))
    network[0].register_module("other", nn.Linear(4, 4))
    network[0].other.weight = network[0].weight
    zero(network[0], rows=[1])
    assert not check(network, torch.randn(2, 4, dtype=torch.float64)).kept


def test_a_hook_makes_a_layer_unknown() -> None:
    network = settled(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)))
    zero(network[0], rows=[1])
    network[1].register_forward_hook(lambda module, inputs, y: y + torch.arange(4.0).double())
    assert not check(network, torch.randn(2, 4, dtype=torch.float64)).kept


@pytest.mark.parametrize("axis", ["rows", "columns"])
def test_where_all_is_dead_one_channel_stays(axis: str) -> None:
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3)))
    zero(network[0 if axis == "rows" else 2], **{axis: range(4)})
    assert shapes(check(network, images())) == {"0": (1, 3, 3, 3), "2": (2, 1, 3, 3)}


def test_inputs_and_outputs_stay() -> None:
    network = settled(nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 4)))
    zero(network[0], columns=[1])
    zero(network[1], rows=[2])
    assert not check(network, torch.randn(2, 4, dtype=torch.float64)).kept


@pytest.mark.parametrize(
    ("network", "side", "most"),
    [
        pytest.param(lambda: ResNet(20), (3, 32, 32), 0.99, marks=pytest.mark.long),
        (lambda: ResNet(8), (3, 8, 8), 0.99),
        (lambda: DSCNN(channels=16), (1, 49, 10), 0.5),
        pytest.param(lambda: DSCNN(), (1, 49, 10), 0.5, marks=pytest.mark.long),
        (lambda: nn.Sequential(nn.Conv2d(3, 8, 1), InvertedResidual(8, 8, 1, 6)), (3, 8, 8), 0.85),
    ],
)
def test_real_networks(
    network: Callable[[], nn.Module], side: tuple[int, ...], most: float
) -> None:
    chosen = settled(network(), dead=0.8)
    removed = check(chosen, torch.randn(1, *side, dtype=torch.float64))
    assert num_weights(removed.network) < most * num_weights(chosen)


INPUT = {"kind": "ste", "num_bits": 6, "observer": "minmax"}
RULES = [
    {"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 6}},
    {"select": "!first", "on": "input", "algorithm": INPUT},
    {"select": "last", "on": "output", "algorithm": INPUT},
]


@cache
def _quantized(seed: int, kind: str, bits: int | None) -> nn.Module:
    network = nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Conv2d(6, 5, 1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(45, 4),
    )
    fill(network, seed, dead=0.8)
    network.eval()
    weight = {"kind": kind} if bits is None else {"kind": kind, "num_bits": bits}
    quantize(network, [{**RULES[0], "algorithm": weight}, *RULES[1:]])
    calibrate(network, [torch.randn(16, 2, 6, 6)])
    return network


def quantized(seed: int, kind: str = "ste", bits: int | None = 6) -> nn.Module:
    return copy.deepcopy(_quantized(seed, kind, bits))


SPEC = InputSpec(shape=(2, 6, 6), scale=(0.02, 0.02), zero_point=(128, 128))


@pytest.mark.parametrize(
    ("kind", "bits"),
    [
        ("ste", 6),
        ("twn", None),
        pytest.param("lsq", 4, marks=pytest.mark.long),
        pytest.param("tqt", 5, marks=pytest.mark.long),
    ],
)
def test_quantized_networks_lower_to_the_same_integers(kind: str, bits: int | None) -> None:
    network = quantized(0, kind, bits)
    removed = remove_dead_filters(network, torch.randn(2, 2, 6, 6))
    assert num_weights(removed.network) < num_weights(network)
    raw = np.random.default_rng(0).integers(0, 256, (20, 2, 6, 6), dtype=np.uint8)
    programs = [lower(one, SPEC) for one in (network, removed.network)]
    scores = [run(program, {"input": raw})[program.outputs[0]] for program in programs]
    assert np.array_equal(*scores)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel:UserWarning")
@settings(max_examples=150, deadline=None, derandomize=True, phases=[Phase.generate])
@given(cases())
def test_random_quantized_networks(case: Case) -> None:
    """Scores without a quantizer have a scale that lowering chooses for their range: their integers
    may differ, what they stand for does not. (So may those of all values whose range is read off
    samples, which is of all channels: networks with such values are left out.)"""
    network, generator = case.network, torch.Generator().manual_seed(case.seed)
    with torch.no_grad():
        for parameter in (p for p in network.parameters() if p.ndim > 1):
            for axis, size in enumerate(parameter.shape[:2]):
                gone = torch.randperm(size, generator=generator)[: case.seed % (size + 1) // 2]
                parameter.index_fill_(axis, gone, 0.0)
    removed = remove_dead_filters(network, case.samples)
    with torch.no_grad():
        given_floats, floats = network(case.samples), removed.network(case.samples)
    assert float((given_floats - floats).abs().max()) <= 1e-12 * float(1 + floats.abs().max())
    scores = []
    for one in (network, removed.network):
        try:
            program = lower(
                one,
                case.spec,
                threshold_levels=case.threshold_levels,
                memory_bits=case.memory_bits,
                sum_bits=case.sum_bits,
            )
        except UsageError:
            assume(one is removed.network)
            raise
        (name,) = program.outputs
        scores.append(program.reals[name](run(program, {"input": case.images.numpy()})[name]))
    assert np.allclose(*scores, rtol=0, atol=1e-3 * max(np.abs(scores[0]).max(), 1e-9))


def test_quantized_networks_compute_the_same_floats() -> None:
    network = quantized(0)
    removed = remove_dead_filters(network, torch.randn(2, 2, 6, 6))
    x = torch.randn(8, 2, 6, 6)
    with torch.no_grad():
        assert torch.equal(network(x), removed.network(x))
    scale = removed.network.get_submodule("0.weight_quantizer").scale
    assert scale.numel() in (1, shapes(removed)["0"][0])


def test_a_weight_that_is_rounded_to_zero_is_dead() -> None:
    network = quantized(0)
    with torch.no_grad():
        network[6].weight[1] = 1e-9
        network[6].bias[1] = 0
    removed = remove_dead_filters(network, torch.randn(2, 2, 6, 6))
    assert 1 not in removed.kept["6.weight"][0]


def test_quantized_layers_keep_constants_that_a_bias_would_round() -> None:
    network = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    zero(network[0], rows=[1])
    with torch.no_grad():
        network[0].bias[1] = 1.0
    assert shapes(remove_dead_filters(network, torch.randn(2, 4)))["0"] == (3, 4)
    quantize(network, RULES)
    calibrate(network, [torch.randn(16, 4)])
    assert shapes(remove_dead_filters(network, torch.randn(2, 4)))["0"] == (4, 4)


def test_the_c_of_a_pruned_network_takes_fewer_bytes() -> None:
    network = nn.Sequential(
        nn.Conv2d(2, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(128, 8), nn.ReLU(), nn.Linear(8, 4)
    )
    zero(network[0], rows=[1, 4, 5])
    zero(network[5], columns=[0, 3])
    sizes = []
    for one in (network, remove_dead_filters(network, torch.randn(2, 2, 6, 6)).network):
        quantize(one, RULES)
        calibrate(one, [torch.randn(16, 2, 6, 6)])
        sizes.append(c_model(lower(one, SPEC), "smallest").sizes)
    assert sizes[1].flash < 0.7 * sizes[0].flash
    assert sizes[1].arena < sizes[0].arena


def test_masks_and_momentum_are_cut_with_the_weights() -> None:
    network = settled(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 2, 3)))
    masks = uniform_magnitude(network, 0.5)
    masks["0"][[1, 4]] = False
    apply_masks(network, masks)
    with torch.no_grad():
        network[0].bias[[1, 4]] = -1.0
    removed = check(network, images())
    cut = cut_masks(masks, removed)
    for name, mask in cut.items():
        weight = removed.network.get_submodule(name).weight
        assert torch.equal(mask, weight != 0)
    steps = {n: torch.randn_like(p) for n, p in network.named_parameters()} | {
        "step": torch.tensor(3.0)
    }
    left = cut_state(steps, removed)
    for name, parameter in removed.network.named_parameters():
        assert left[name].shape == parameter.shape
    assert torch.equal(left["0.bias"], steps["0.bias"][[0, 2, 3, 5]])
    assert torch.equal(left["step"], steps["step"])


def test_a_tensor_that_is_too_small_is_refused() -> None:
    network = settled(nn.Sequential(nn.Linear(3, 6), nn.ReLU(), nn.Linear(6, 2)))
    zero(network[0], rows=[1, 4])
    removed = check(network, torch.randn(2, 3, dtype=torch.float64))
    with pytest.raises(UsageError, match=r"0\.weight: \[4, 3\] given"):
        cut_masks({"0": torch.ones(4, 3, dtype=torch.bool)}, removed)


def test_training_goes_on_with_held_zeros() -> None:
    network = settled(nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2))).train()
    zero(network[0], rows=[1, 4])
    with torch.no_grad():
        network[0].weight[0, 0] = 0
    hold_zeros(network[0])
    removed = check(network, torch.randn(2, 4, dtype=torch.float64))
    assert removed.network.training
    optimizer = torch.optim.SGD(removed.network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        removed.network(torch.randn(8, 4, dtype=torch.float64)).square().sum().backward()
        optimizer.step()
    weight = removed.network.get_submodule("0").weight
    assert weight.shape == (4, 4)
    assert weight[0, 0] == 0
    assert (weight != 0).sum() == 15


def test_a_network_that_cannot_be_traced_is_refused_in_one_line() -> None:
    class Untraceable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc(x) if x.sum() > 0 else self.fc(-x)

    network = Untraceable()
    before = copy.deepcopy(network.state_dict())
    with pytest.raises(UsageError, match="cannot be traced") as caught:
        remove_dead_filters(network, torch.randn(2, 4))
    assert "\n" not in str(caught.value)
    assert all(torch.equal(t, before[name]) for name, t in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "example", "words"),
    [
        (3, torch.ones(2, 4), "network: a int given"),
        (nn.Sequential(nn.Linear(4, 2)), "x", "example: a str given"),
        (nn.Sequential(nn.Linear(4, 2)), (torch.ones(2, 4), None), "example: a NoneType given"),
        (nn.Linear(4, 2), torch.ones(2, 4), "a single Linear given"),
    ],
)
def test_other_arguments_are_refused(network: Any, example: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        remove_dead_filters(network, example)


def test_an_example_of_another_size_is_refused() -> None:
    with pytest.raises(UsageError, match="does not take"):
        remove_dead_filters(nn.Sequential(nn.Linear(4, 2)), torch.randn(2, 3))
