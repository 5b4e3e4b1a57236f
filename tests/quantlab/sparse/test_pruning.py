"""Masks by magnitude against a sort in Python, and networks that become sparse."""

import copy
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.graphs.select import select
from quantlab.sparse import (
    SparseConv2d,
    SparseLinear,
    apply_masks,
    global_magnitude,
    sparsify,
    uniform_magnitude,
)


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(32, 5)
    )


def kept(values: list[float], sparsity: float) -> list[bool]:
    """Return what is kept: all but the first so many in the order of magnitude and place."""
    order = sorted(range(len(values)), key=lambda place: (abs(values[place]), place))
    removed = set(order[: round(sparsity * len(values))])
    return [place not in removed for place in range(len(values))]


def flat(network: nn.Module, names: list[str]) -> list[float]:
    return [w for name in names for w in network.get_parameter(f"{name}.weight").flatten().tolist()]


# Few different magnitudes, so that many are equal.
WEIGHTS = st.lists(
    st.sampled_from([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0, 0.5]), min_size=12, max_size=12
)


@pytest.mark.filterwarnings("ignore:pruning. no weight is kept")
@settings(deadline=None)
@given(WEIGHTS, WEIGHTS, st.floats(0, 1, exclude_max=True))
def test_exactly_the_smallest_go(first: list[float], second: list[float], sparsity: float) -> None:
    net = nn.Sequential(nn.Linear(4, 3, dtype=torch.float64), nn.Conv2d(3, 1, 2))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(first).reshape(3, 4))
        net[1].weight.copy_(torch.tensor(second).reshape(1, 3, 2, 2))
    masks = global_magnitude(net, sparsity)
    found = masks["0"].flatten().tolist() + masks["1"].flatten().tolist()
    assert found == kept(first + second, sparsity)
    masks = uniform_magnitude(net, sparsity)
    assert masks["0"].flatten().tolist() == kept(first, sparsity)
    assert masks["1"].flatten().tolist() == kept(second, sparsity)
    assert masks["1"].shape == net[1].weight.shape


def test_one_threshold_or_one_in_each_layer() -> None:
    net = network()
    with torch.no_grad():
        net[4].weight.mul_(0.6)
    found = global_magnitude(net, 0.7)
    assert 0 < found["4"].sum() < 0.1 * found["4"].numel()
    assert sum(int(mask.sum()) for mask in found.values()) == 376 - round(0.7 * 376)
    found = uniform_magnitude(net, 0.7)
    assert [int(mask.sum()) for mask in found.values()] == [216 - 151, 160 - 112]


PRUNE = pytest.mark.parametrize("prune", [global_magnitude, uniform_magnitude])


@PRUNE
def test_layers_are_chosen(prune: Callable[..., dict[str, Tensor]]) -> None:
    net = network()
    assert list(prune(net, 0.5)) == ["0", "4"]
    assert list(prune(net, 0.5, selector=select("!first"))) == ["4"]
    assert list(prune(net, 0.5, skip=["4"])) == ["0"]


@PRUNE
def test_a_layer_left_empty_is_named(prune: Callable[..., dict[str, Tensor]]) -> None:
    with pytest.warns(UserWarning, match="no weight is kept of '' at 0.95"):
        masks = prune(nn.Linear(2, 2), 0.95)
    assert not masks[""].any()


@PRUNE
def test_a_tied_weight_counts_once(prune: Callable[..., dict[str, Tensor]]) -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].weight = net[0].weight
    masks = prune(net, 0.5)
    assert torch.equal(masks["0"], masks["1"])
    assert int(masks["0"].sum() + masks["2"].sum()) == 16


def test_what_is_not_kept_becomes_zero() -> None:
    net = network()
    before, masks = copy.deepcopy(net), uniform_magnitude(net, 0.6)
    apply_masks(net, masks)
    for name, mask in masks.items():
        wanted = before.get_parameter(f"{name}.weight") * mask
        assert torch.equal(net.get_parameter(f"{name}.weight"), wanted)
    assert torch.equal(net[4].bias, before[4].bias)


def test_a_sparse_network_computes_the_same_under_the_same_names() -> None:
    net = network()
    net[4].weight.requires_grad_(False)
    net[4].eval()
    norm, masks = net[1].weight, global_magnitude(net, 0.8)
    pruned = copy.deepcopy(net)
    apply_masks(pruned, masks)
    names, x = [name for name, _ in net.named_parameters()], torch.randn(2, 3, 4, 4)
    assert sparsify(net, masks) is net
    assert isinstance(net[0], SparseConv2d)
    assert isinstance(net[4], SparseLinear)
    assert [name for name, _ in net.named_parameters()] == names
    assert net[1].weight is norm
    assert not net[4].weight.requires_grad
    assert net[4].bias.requires_grad
    assert not net[4].training
    torch.testing.assert_close(net(x), pruned(x))


def test_the_network_may_be_the_layer() -> None:
    layer = nn.Linear(6, 4)
    sparse = sparsify(layer, global_magnitude(layer, 0.5))
    assert isinstance(sparse, SparseLinear)
    assert sparse.pattern.num_values == 12


def test_a_shared_layer_stays_shared() -> None:
    layer = nn.Linear(4, 4)
    net = nn.ModuleDict({"a": layer, "b": nn.Sequential(layer), "c": nn.Linear(4, 4)})
    masks = global_magnitude(net, 0.5)
    assert list(masks) == ["a", "c"]
    sparsify(net, {"b.0": masks["a"]})
    assert isinstance(net["a"], SparseLinear)
    assert net["a"] is net["b"][0]
    assert isinstance(net["c"], nn.Linear)


class Doubled(nn.Linear):
    """A subclass that computes something else."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def hooked() -> nn.Module:
    net = network()
    net[0].register_forward_hook(lambda *_: None)
    return net


def tied() -> nn.Module:
    net = nn.Sequential(nn.Embedding(4, 3), nn.Linear(3, 4))
    net[1].weight = net[0].weight
    return net


def everywhere(net: nn.Module) -> nn.Module:
    return sparsify(net, global_magnitude(net, 0.5))


def twice() -> nn.Module:
    net = nn.Sequential(*[nn.Linear(4, 4)] * 2)
    mask = torch.ones(4, 4, dtype=torch.bool)
    return sparsify(net, {"0": mask, "1": mask})


WRONG = {
    "sparsity": (lambda: global_magnitude(network(), 1.0), "sparsity: 1.0 given; at least 0 and"),
    "negative": (lambda: uniform_magnitude(network(), -0.1), "sparsity: -0.1 given"),
    "nan": (lambda: uniform_magnitude(network(), float("nan")), "sparsity: nan given"),
    "no layer": (lambda: global_magnitude(nn.ReLU(), 0.5), "network: ReLU has no Linear and no"),
    "none left": (lambda: global_magnitude(network(), 0.5, skip=["0", "4"]), "skip: leaves no"),
    "skip": (
        lambda: global_magnitude(nn.ModuleDict({"conv1": nn.Conv2d(1, 1, 1)}), 0.5, skip=["conv2"]),
        "skip: unknown layer 'conv2'; did you mean 'conv1'",
    ),
    "selector": (
        lambda: global_magnitude(network(), 0.5, selector=select("type:Conv1d")),
        "'type:Conv1d' matches no layer",
    ),
    "infinite": (
        lambda: global_magnitude(nn.utils.skip_init(nn.Linear, 1, 1).apply(fill), 0.5),
        "layer '': weight has NaN or infinity",
    ),
    "mask's name": (lambda: apply_masks(network(), {"1": torch.ones(8)}), "unknown layer '1'"),
    "mask's shape": (
        lambda: sparsify(network(), {"4": torch.ones(3, dtype=torch.bool)}),
        r"masks: '4' is torch.bool of \[3\]; torch.bool of \[5, 32\] allowed",
    ),
    "mask's type": (
        lambda: apply_masks(network(), {"4": torch.ones(5, 32)}),
        r"masks: '4' is torch.float32 of \[5, 32\]",
    ),
    "twice": (twice, "masks: '1' is a layer that has one under another name"),
    "subclass": (lambda: everywhere(Doubled(4, 4)), "layer '': cannot become sparse: a Doubled"),
    "hooks": (lambda: everywhere(hooked()), "layer '0': cannot become sparse: it has hooks"),
    "half": (lambda: everywhere(network().half()), "its weight is torch.float16; float32 or"),
    "tied": (lambda: everywhere(tied()), "layer '1'.*it shares a parameter with '0.weight'"),
}  # fmt: skip


@torch.no_grad()
def fill(layer: nn.Module) -> None:
    for parameter in layer.parameters():
        parameter.fill_(torch.inf)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_clear_line(name: str) -> None:
    use, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as error:
        use()
    assert "\n" not in str(error.value)


def test_a_refused_network_is_unchanged() -> None:
    net = nn.Sequential(nn.Linear(4, 4), Doubled(4, 4))
    first, masks = net[0], global_magnitude(net, 0.5)
    with pytest.raises(UsageError, match="layer '1'"):
        sparsify(net, masks)
    assert net[0] is first


def test_a_layer_at_two_places_of_one_parent_is_replaced_at_both() -> None:
    net = nn.Sequential(*[nn.Linear(4, 4)] * 2)
    sparsify(net, global_magnitude(net, 0.5))
    assert isinstance(net[1], SparseLinear)
    assert net[0] is net[1]
