import copy
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn.utils import parametrizations

from quantlab.algorithms import quantize
from quantlab.compression.cost import Cost, exported_cost
from quantlab.compression.factorize import factorize
from quantlab.compression.output_error import output_error
from quantlab.errors import UsageError
from tests.quantlab.compression.host import check_c, needs_compiler
from tests.quantlab.compression.layers import images, lower, weight_cost


def classifier() -> nn.Module:
    torch.manual_seed(0)
    conv = nn.Conv2d(1, 4, 3, padding=1)
    low = lower(nn.Linear(256, 24), rank=3)
    return nn.Sequential(conv, nn.ReLU(), nn.Flatten(), low, nn.ReLU(), nn.Linear(24, 3))


def test_a_layer_of_low_rank_takes_fewer_bytes_of_c() -> None:
    network, samples = classifier(), images()
    cost = exported_cost(samples)
    result = factorize(network, samples, cost=cost)
    row = result.rows[1]
    assert (row.name, row.chosen.form) == ("3", "svd")
    assert row.chosen.ranks <= (3,)
    assert result.cost == cost(result.network) == row.after
    assert row.before == cost(network)
    dense, low = 256 * 24, row.chosen.ranks[0] * (256 + 24)
    assert row.before.flash - row.after.flash == pytest.approx(dense - low, rel=0.05)
    with torch.no_grad():
        assert (result.network(samples) - network(samples)).norm() < 0.1 * network(samples).norm()
    assert str(result).splitlines()[1] == (
        f"3: svd of rank {row.chosen.ranks[0]}: {row.after.flash:,} bytes of flash instead of "
        f"{row.before.flash:,}"
    )


def test_a_form_that_takes_more_bytes_of_c_is_rejected() -> None:
    """Rank 3 has fewer weights, but three channels more to rescale."""
    torch.manual_seed(0)
    conv = lower(nn.Conv2d(4, 4, 3, padding=1, bias=False), rank=3)
    network = nn.Sequential(nn.Conv2d(1, 4, 1), conv, nn.Flatten(), nn.Linear(256, 2))
    samples = images()
    result = factorize(network, samples, cost=exported_cost(samples), names=["1"], tolerance=1e-9)
    (row,) = result.rows
    assert row.chosen is None
    assert row.after == row.before == result.cost
    costly = {trial.words: trial.cost for trial in row.trials if trial.cost is not None}
    assert costly["svd of rank 3"].flash >= row.before.flash
    assert row.reason.startswith(
        f"kept dense: {row.before.flash:,} bytes of flash; svd of rank 3: "
        f"{costly['svd of rank 3'].flash:,}; tucker"
    )
    for name, tensor in network.state_dict().items():
        assert torch.equal(result.network.state_dict()[name], tensor)


class Block(nn.Module):
    """Layers below a block, one of them without a name of its own in a Sequential."""

    def __init__(self) -> None:
        super().__init__()
        self.path = nn.Sequential(
            OrderedDict(
                grouped=lower(nn.Conv2d(16, 16, 3, padding=2, dilation=2, groups=2, bias=False), 1),
                act=nn.ReLU(),
                inner=nn.Sequential(lower(nn.Conv2d(16, 16, 3, padding="same"), 2)),
            )
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.path(x)


def test_layers_at_any_depth_change() -> None:
    torch.manual_seed(0)
    network = nn.ModuleDict({"a": nn.Sequential(nn.Conv2d(1, 16, 1), Block())})["a"]
    samples = images()
    result = factorize(network, samples, cost=weight_cost)
    rows = {row.name: row for row in result.rows}
    assert list(rows) == ["0", "1.path.grouped", "1.path.inner.0"]
    assert rows["1.path.grouped"].chosen is not None
    assert rows["1.path.inner.0"].chosen is not None
    path = result.network.get_submodule("1.path")
    assert [type(part) for part in path] == [nn.Sequential, nn.ReLU, nn.Sequential]
    first, *_, last = path.grouped
    assert (first.groups, last.groups) == (2, 2)
    assert all(part.bias is None for part in path.grouped)
    with torch.no_grad():
        error = (result.network(samples) - network(samples)).norm() / network(samples).norm()
    assert error**2 == pytest.approx(result.loss, rel=1e-3)
    assert result.loss <= 0.01


@pytest.mark.long
@needs_compiler
def test_layers_of_all_kinds_are_the_same_in_c(tmp_path: Path) -> None:
    torch.manual_seed(0)
    rows, columns = torch.randn(16, 1, 5, 1), torch.randn(16, 1, 1, 5)
    depthwise = nn.Conv2d(16, 16, 5, padding="same", groups=16)
    with torch.no_grad():
        depthwise.weight.copy_(rows * columns)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 1), Block(), nn.ReLU(), depthwise, nn.Flatten(),
        lower(nn.Linear(1024, 12, bias=False), rank=2),
    )  # fmt: skip
    samples = images(32)
    cost = exported_cost(samples)
    result = factorize(network, samples, cost=cost)
    changed = {row.name: row.chosen.form for row in result.rows if row.chosen}
    assert {"1.path.grouped", "1.path.inner.0", "5"} <= set(changed)
    assert result.cost.flash < cost(network).flash
    check_c(result.network, samples, tmp_path)


def test_signals_have_forms_too() -> None:
    torch.manual_seed(0)
    conv = lower(nn.Conv1d(16, 24, 5, dilation=2, bias=False), rank=2)
    network = nn.Sequential(nn.Conv1d(3, 16, 3), nn.ReLU(), conv)
    samples = torch.rand(16, 3, 30)
    result = factorize(network, samples, cost=exported_cost(samples), names=("2",))
    assert result.rows[0].chosen is not None
    assert all(isinstance(part, nn.Conv1d) for part in result.network[2])


def test_the_network_itself_may_be_a_layer() -> None:
    torch.manual_seed(0)
    network = lower(nn.Linear(20, 20), rank=1)
    result = factorize(network, torch.rand(8, 20), cost=weight_cost)
    assert isinstance(network, nn.Linear)
    assert isinstance(result.network, nn.Sequential)
    assert str(result).startswith("network: svd of rank 1: ")


def test_a_layer_at_several_places_changes_at_all_of_them() -> None:
    torch.manual_seed(0)
    shared = lower(nn.Linear(20, 20), rank=1)
    network = nn.ModuleList([nn.Sequential(shared, nn.ReLU(), nn.Sequential(shared))])[0]
    samples = torch.rand(8, 20)
    for names in (None, ["2.0"], ["0", "2.0"]):
        result = factorize(network, samples, cost=weight_cost, names=names)
        assert [row.name for row in result.rows] == ["0"]
        assert result.network[0] is result.network[2][0]
        assert isinstance(result.network[0], nn.Sequential)


def test_noise_is_removed_where_the_loss_allows_it_and_stays_elsewhere() -> None:
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.needed = nn.Linear(20, 20)
            self.idle = nn.Linear(20, 20)
            nn.init.normal_(self.needed.weight)
            nn.init.normal_(self.idle.weight, std=1e-4)

        def forward(self, x: Tensor) -> Tensor:
            y = self.needed(x)
            return y + self.idle(y)

    torch.manual_seed(0)
    network, samples = Residual(), torch.rand(16, 20)
    result = factorize(network, samples, cost=exported_cost(samples))
    needed, idle = result.rows
    assert needed.chosen is None
    assert "svd: noise alone, EVBMF's rank is 0; removed: loss " in needed.reason
    assert idle.chosen.form == "removed"
    assert not result.network.idle.weight.any()
    assert torch.equal(result.network.idle.bias, network.idle.bias)
    assert idle.after.flash < idle.before.flash


def test_a_tolerance_is_shared_by_all_layers() -> None:
    torch.manual_seed(0)
    layers = [lower(nn.Linear(24, 24, bias=False), rank=6, noise=0.2) for _ in range(4)]
    network, samples = nn.Sequential(*layers), torch.rand(64, 24) - 0.5
    result = factorize(network, samples, cost=weight_cost, tolerance=0.2)
    losses = [row.chosen.loss for row in result.rows if row.chosen]
    assert losses[0] <= 0.05
    assert len(losses) > 1
    assert result.loss == losses[-1] <= 0.2


def test_a_loss_of_ones_own_decides() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(lower(nn.Linear(20, 20), rank=1))
    samples, asked = torch.rand(8, 20), []

    def loss(candidate: nn.Module) -> float:
        asked.append(type(candidate[0]))
        return 3.0 if type(candidate[0]) is nn.Linear else 3.5

    kept = factorize(network, samples, cost=weight_cost, loss=loss, tolerance=0.4)
    assert kept.rows[0].reason.endswith("svd of rank 1: loss 3.5, at most 3.4 allowed")
    assert asked == [nn.Linear, nn.Sequential]
    taken = factorize(network, samples, cost=weight_cost, loss=loss, tolerance=0.5)
    assert taken.loss == 3.5
    lost = factorize(network, samples, cost=weight_cost, loss=lambda _: float("nan"))
    assert lost.rows[0].chosen is None


def test_a_form_that_takes_too_much_ram_is_rejected() -> None:
    torch.manual_seed(0)

    def cost(candidate: nn.Module) -> Cost:
        layers = sum(isinstance(m, nn.Linear) for m in candidate.modules())
        return Cost(flash=weight_cost(candidate).flash, ram=100 * layers)

    network = nn.Sequential(lower(nn.Linear(20, 20), rank=1))
    samples = torch.rand(8, 20)
    result = factorize(network, samples, cost=cost, ram=199)
    assert result.rows[0].reason == (
        "kept dense: 404 bytes of flash; svd of rank 1: 200 bytes of RAM, at most 199 allowed"
    )
    for ram in (None, 200):
        taken = factorize(network, samples, cost=cost, ram=ram)
        assert taken.rows[0].after == taken.cost == cost(taken.network)
        assert taken.cost.ram == 200


@pytest.mark.long
def test_the_planned_ram_of_c_is_kept() -> None:
    """Three layers in place of one take the fewest bytes, two of them less memory."""
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 16, 3, padding=1)
    outputs, core, inputs = torch.randn(16, 6), torch.randn(6, 6, 3, 3), torch.randn(16, 6)
    with torch.no_grad():
        conv.weight.copy_(torch.einsum("or,rsij,cs->ocij", outputs, core, inputs) / 40)
    network = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), conv, nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1),
        nn.AvgPool2d(8), nn.Flatten(), nn.Linear(16, 3),
    )  # fmt: skip
    samples = images()
    cost = exported_cost(samples)
    limit = cost(network).ram
    free, limited = (
        factorize(network, samples, cost=cost, names=["2"], tolerance=1e-6, ram=ram)
        for ram in (None, limit)
    )
    assert free.rows[0].chosen.form == "tucker"
    assert free.cost.ram > limit
    assert limited.rows[0].chosen.form == "svd"
    assert limited.cost.ram <= limit


def test_a_network_beyond_its_ram_may_take_forms_that_need_no_more() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(lower(nn.Linear(20, 20), rank=1))

    def cost(candidate: nn.Module) -> Cost:
        return Cost(flash=weight_cost(candidate).flash, ram=500)

    result = factorize(network, torch.rand(8, 20), cost=cost, ram=199)
    assert result.rows[0].chosen is not None


def test_a_form_that_c_cannot_hold_is_rejected() -> None:
    torch.manual_seed(0)

    def cost(candidate: nn.Module) -> Cost:
        if isinstance(candidate[0], nn.Sequential):
            raise UsageError("0.0: too large")
        return weight_cost(candidate)

    network = nn.Sequential(lower(nn.Linear(20, 20), rank=1))
    result = factorize(network, torch.rand(8, 20), cost=cost)
    assert result.rows[0].reason.endswith("svd of rank 1: no C: 0.0: too large")
    assert isinstance(result.network[0], nn.Linear)


def test_neither_the_network_nor_its_modes_change() -> None:
    network, samples = nn.Sequential(classifier(), nn.Dropout()).train(), images()
    network[1].eval()
    before = copy.deepcopy(network.state_dict())
    state = torch.get_rng_state()
    results = [factorize(network, samples, cost=weight_cost) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    made = [result.network.state_dict() for result in results]
    assert made[0].keys() == made[1].keys() != before.keys()
    assert all(torch.equal(made[1][name], value) for name, value in made[0].items())
    assert (
        [m.training for m in results[0].network] == [m.training for m in network] == [True, False]
    )
    assert results[0].network[0][3].training


class Reading(nn.Module):
    """Reads attributes of its layers, beside calling them."""

    def __init__(self) -> None:
        super().__init__()
        self.sized = lower(nn.Linear(20, 20), rank=1)
        self.used_twice = lower(nn.Linear(20, 20), rank=1)
        self.free = lower(nn.Linear(20, 20), rank=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.sized(x).reshape(-1, self.sized.out_features)
        return self.free(nn.functional.linear(self.used_twice(x), self.used_twice.weight))


def test_layers_whose_attributes_the_network_reads_stay() -> None:
    torch.manual_seed(0)
    network, samples = Reading(), torch.rand(8, 20)
    result = factorize(network, samples, cost=weight_cost)
    rows = {row.name: row for row in result.rows}
    for name, attribute in (("sized", "out_features"), ("used_twice", "weight")):
        assert rows[name].reason == f"kept dense: the network reads its '{attribute}'"
    assert rows["free"].chosen is not None
    assert result.network(samples).shape == (8, 20)


class Odd(nn.Module):
    """Layers that have to stay, each for a reason of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(1, 4, 2)
        self.depthwise = nn.Conv2d(4, 4, 1, groups=4)
        self.one = nn.Conv2d(4, 1, 1)
        self.unused = nn.Linear(9, 9)
        self.normed = parametrizations.weight_norm(nn.Linear(9, 9))
        self.hooked = nn.Linear(9, 9)
        self.hooked.register_forward_hook(lambda *_: None)
        self.tied = nn.Linear(9, 9)
        self.other = nn.Linear(9, 9)
        self.other.weight = self.tied.weight

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(self.depthwise(self.up(x)))
        return self.other(self.tied(self.hooked(self.normed(x))))


def test_layers_that_have_to_stay_say_why() -> None:
    result = factorize(Odd(), images(), cost=weight_cost)
    assert {row.name: row.reason for row in result.rows} == {
        "up": "kept dense: a ConvTranspose2d has no low-rank form here",
        "depthwise": "kept dense: depthwise, no lower rank",
        "one": "kept dense: one channel, no lower rank",
        "unused": "kept dense: the network does not call it",
        "normed": "kept dense: a ParametrizedLinear is more than a Linear or Conv1d or Conv2d",
        "hooked": "kept dense: it has hooks, which would be lost",
        "tied": "kept dense: it shares a parameter with 'other.weight'",
        "other": "kept dense: it shares a parameter with 'tied.weight'",
    }


def test_a_depthwise_kernel_separates_by_axes() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4, 4, 5, padding=2, groups=4)
    rows, columns = torch.randn(4, 1, 5, 1), torch.randn(4, 1, 1, 5)
    with torch.no_grad():
        conv.weight.copy_(rows * columns)
    result = factorize(nn.Sequential(conv), images(channels=4), cost=weight_cost)
    assert result.rows[0].chosen.words == "spatial of rank 1"
    first, last = result.network[0]
    assert (first.kernel_size, last.kernel_size, first.groups) == ((5, 1), (1, 5), 4)


def test_layers_of_a_traced_graph_stay() -> None:
    network = fx.symbolic_trace(nn.Sequential(lower(nn.Linear(20, 20), rank=1)))
    result = factorize(nn.Sequential(network), torch.rand(4, 20), cost=weight_cost)
    assert result.rows[0].reason == (
        "kept dense: a traced graph calls it; factorize before tracing"
    )


def test_layers_with_quantizers_stay() -> None:
    network = nn.Sequential(nn.Linear(9, 9))
    quantize(
        network, [{"select": "*", "on": "weight", "algorithm": {"kind": "ste", "num_bits": 8}}]
    )
    result = factorize(network, torch.rand(4, 9), cost=weight_cost)
    assert result.rows[0].reason == (
        "kept dense: it carries quantizers; factorize before quantizing"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": 3}, "network: a int given, a torch.nn.Module allowed"),
        ({"network": nn.ReLU()}, "network: a ReLU without layers of weights given"),
        ({"names": ["fc"]}, "names: unknown layer 'fc'; did you mean 'fc1'"),
        ({"names": "fc1"}, "names: a str given, a list of layers' names allowed"),
        ({"names": [3]}, "names: a int given, a layer's name allowed"),
        ({"samples": torch.rand(4, 3)}, r"samples: float32\[1, 3\] given, which the network"),
        ({"samples": torch.full((4, 9), float("nan"))}, "samples: nan given, finite numbers"),
        ({"samples": None}, "samples: a NoneType given"),
        ({"ram": 1.5}, "ram: a float given, a number of bytes allowed"),
        ({"tolerance": -1}, "tolerance: -1 given, a number from 0 allowed"),
        ({"tolerance": float("nan")}, "tolerance: nan given"),
        ({"tolerance": "x"}, "tolerance: a str given"),
    ],
)
def test_other_arguments_are_one_line(changes: dict[str, object], message: str) -> None:
    network = nn.Sequential(OrderedDict(fc1=nn.Linear(9, 9)))
    given = {"network": network, "samples": torch.rand(4, 9), "cost": weight_cost, **changes}
    network, samples = given.pop("network"), given.pop("samples")
    with pytest.raises(UsageError, match=message):
        factorize(network, samples, **given)


def test_weights_that_are_not_finite_are_one_line() -> None:
    network = nn.Sequential(nn.Linear(9, 9))
    with torch.no_grad():
        network[0].weight[1, 2] = float("nan")
    with pytest.raises(UsageError, match=r"0\.weight: NaN given, finite numbers allowed"):
        factorize(network, torch.rand(4, 9), cost=weight_cost)


@st.composite
def networks(draw: st.DrawFn) -> nn.Module:
    """Draw convolutions one after the other, some in blocks, and a Linear; all of low rank."""
    torch.manual_seed(draw(st.integers(0, 2**31)))
    parts: list[nn.Module] = []
    channels = 2
    for _ in range(draw(st.integers(1, 3))):
        groups = draw(st.sampled_from([1, 2]))
        outputs = groups * draw(st.integers(1, 8))
        kernel = draw(st.sampled_from([1, 3, (3, 1), (1, 3)]))
        conv = nn.Conv2d(
            channels, outputs, kernel, padding="same", dilation=draw(st.integers(1, 2)),
            groups=groups, bias=draw(st.booleans()),
        )  # fmt: skip
        lower(conv, draw(st.integers(1, 3)), draw(st.sampled_from([0.0, 0.1, 1.0])))
        is_block = draw(st.booleans())
        parts.append(nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU()) if is_block else conv)
        channels = 2 * outputs if outputs % 2 else outputs
        if channels != outputs:
            parts.append(nn.Conv2d(outputs, channels, 1))
    return nn.Sequential(*parts, nn.Flatten(), lower(nn.Linear(36 * channels, 8), 2, 0.1))


@pytest.mark.long
@given(networks(), st.sampled_from([0.0, 1e-6, 0.01, 0.3, 10.0]))
@settings(deadline=None, max_examples=60)
def test_any_network_costs_no_more_and_loses_no_more_than_it_may(
    network: nn.Module, tolerance: float
) -> None:
    samples = images(channels=2, size=6)
    result = factorize(network, samples, cost=weight_cost, tolerance=tolerance)
    assert result.cost == weight_cost(result.network)
    assert result.cost.flash <= weight_cost(network).flash
    assert result.loss <= tolerance
    assert result.loss == output_error(network, samples)(result.network)
    layers = [m for m in network.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(result.rows) == len(layers)
    assert sum(row.before.flash - row.after.flash for row in result.rows) == (
        weight_cost(network).flash - result.cost.flash
    )
