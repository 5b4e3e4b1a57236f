"""Which layers are swapped, by costs that are given; networks that are swapped for real."""

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.prune import custom_from_mask

from quantlab.errors import UsageError
from quantlab.sparse import (
    LayerSwap,
    QuantizedSparseConv2d,
    SparseConv2d,
    SparseLayer,
    SparseLinear,
    SwapReport,
    apply_masks,
    global_magnitude,
    swap_layers,
    swap_modules_with_sparse,
    uniform_magnitude,
)
from quantlab.sparse.bfloat16 import Bfloat16Linear
from quantlab.sparse.calls import Call
from quantlab.sparse.candidates import CANDIDATES, Candidate
from quantlab.sparse.measure import Costs, Measure
from quantlab.sparse.pruning import to_sparse


def costing(**costs: float) -> Measure:
    """Return what finds these costs, and none of other candidates."""

    def measure(layers: Mapping[str, nn.Module], calls: Sequence[Call]) -> Costs:
        return Costs({name: costs[name] for name in layers if name in costs})

    return measure


SPARSE_WINS = costing(dense=3.0, dense_bf16=2.0, sparse=1.0, sparse_int8=1.5)


def no_measure(layers: Mapping[str, nn.Module], calls: Sequence[Call]) -> Costs:
    raise AssertionError("measured without need")


class Network(nn.Module):
    """Layers that are called once, twice, and never."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.5)
        self.twice = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(128, 5))
        self.unused = nn.Linear(8, 8)
        self.num_passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.num_passes += 1
        x = self.drop(self.norm(self.conv(x)))
        y: Tensor = self.head(self.twice(self.twice(x)))
        return y


def network(sparsity: float = 0.9) -> Network:
    torch.manual_seed(0)
    net = Network()
    apply_masks(net, uniform_magnitude(net, sparsity))
    return net


def swap(net: nn.Module, *args: Any, **options: Any) -> tuple[Any, dict[str, LayerSwap]]:
    """Swap by costs for which sparse layers win; return the layers' reports by name."""
    options.setdefault("measure", SPARSE_WINS)
    if not args and "example_input" not in options:
        args = ((3, 4, 4),)
    new, report = swap_layers(net, *args, **options)
    return new, {layer.name: layer for layer in report.layers}


RULE = {
    "fastest": ((3.0, 2.0, 1.0), "sparse", "dense costs 3.00 times as much"),
    "other": ((3.0, 1.0, 2.0), "dense_bf16", "dense costs 3.00 times as much"),
    "dense": ((1.0, 4.0, 2.0), "dense", "dense costs 0.50 times as much as sparse; more than 1.25"),
    "at the bound": ((5.0, 4.0, 9.0), "dense", "1.25 times as much as dense_bf16; more than 1.25"),
    "beyond it": ((5.01, 4.0, 9.0), "dense_bf16", "dense costs 1.25 times as much"),
    "equal": ((5.0, 1.0, 1.0), "dense_bf16", "dense costs 5.00 times as much"),
    "nothing": ((1.0, 0.0, 1.0), "dense_bf16", "dense costs inf times as much"),
}


@pytest.mark.parametrize("name", RULE)
def test_the_cheapest_that_is_cheap_enough(name: str) -> None:
    (dense, bfloat16, sparse), chosen, reason = RULE[name]
    measure = costing(dense=dense, dense_bf16=bfloat16, sparse=sparse)
    _, found = swap(network(), min_gain=0.25, measure=measure)
    assert found["conv"].chosen == chosen
    assert reason in found["conv"].reason
    assert found["conv"].costs == {"dense": dense, "dense_bf16": bfloat16, "sparse": sparse}


@pytest.mark.parametrize(("dense", "is_sparse"), [(1.0999, False), (1.1001, True)])
def test_more_than_a_tenth_is_asked_for(dense: float, is_sparse: bool) -> None:
    new, _ = swap(network(), measure=costing(dense=dense, dense_bf16=2.0, sparse=1.0))
    assert isinstance(new.conv, SparseConv2d) == is_sparse


def test_layers_with_fewer_zeros_stay() -> None:
    net = nn.Sequential(nn.Linear(10, 10), nn.Linear(10, 10), nn.Linear(10, 10))
    with torch.no_grad():
        for layer, num_kept in zip(net, (20, 21, 100), strict=True):
            layer.weight.flatten()[num_kept:] = 0.0
    new, found = swap(net, (10,))
    assert [type(layer) for layer in new] == [SparseLinear, nn.Linear, nn.Linear]
    assert [found[name].sparsity for name in "012"] == pytest.approx([0.8, 0.79, 0.0])
    assert found["1"].reason == "less than 80 % zeros"
    assert not found["1"].costs
    new, _ = swap(net, (10,), min_sparsity=0.0)
    assert all(isinstance(layer, SparseLinear) for layer in new)


def test_what_was_measured_once_is_said_and_not_taken() -> None:
    costs = {"dense": 30.0, "dense_bf16": 100.0, "sparse": 20.0, "sparse_fp16": 19.0}

    def measure(layers: Mapping[str, nn.Module], calls: Sequence[Call]) -> Costs:
        return Costs(costs, frozenset({"dense_bf16", "sparse_fp16"}))

    _, report = swap_layers(network(), (3, 4, 4), measure=measure)
    conv = report.layers[0]
    assert (conv.chosen, conv.costs) == ("sparse", costs)
    assert conv.dropped == ["dense_bf16", "sparse_fp16"]
    why = "dense costs 1.50 times as much; measured once: dense_bf16, sparse_fp16"
    assert str(report).splitlines()[2].endswith(why)


def test_dense_layers_stay_where_all_else_was_dropped() -> None:
    def measure(layers: Mapping[str, nn.Module], calls: Sequence[Call]) -> Costs:
        return Costs({"dense": 1.0, "sparse": 3.0}, frozenset({"sparse"}))

    _, found = swap(network(), measure=measure)
    assert found["conv"].chosen == "dense"
    assert found["conv"].reason.startswith("dense costs 0.33 times as much as sparse; more than")


INPUTS: dict[str, tuple[tuple[int, ...], dict[str, int], tuple[int, ...]]] = {
    "images": ((6, 3, 4, 4), {}, (6, 3, 4, 4)),
    "an image": ((3, 4, 4), {}, (32, 3, 4, 4)),
    "an image and a batch": ((3, 4, 4), {"batch_size": 5}, (5, 3, 4, 4)),
}


@pytest.mark.parametrize("name", INPUTS)
def test_shapes_with_and_without_a_batch(name: str) -> None:
    shape, options, wanted = INPUTS[name]
    _, found = swap(network(), shape, **options)
    assert [call.shape for call in found["conv"].calls] == [wanted]
    batch = wanted[0]
    assert [call.shape for call in found["twice"].calls] == [(batch, 8, 4, 4)] * 2
    assert [call.shape for call in found["head.1"].calls] == [(batch, 128)]


@pytest.mark.parametrize(("shape", "wanted"), [((8,), (32, 8)), ((7, 8), (7, 8))])
def test_features_with_and_without_a_batch(shape: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    _, found = swap(nn.Sequential(nn.Linear(8, 4)), shape)
    assert [call.shape for call in found["0"].calls] == [wanted]


def test_other_inputs_are_given_as_examples() -> None:
    net = nn.Sequential(nn.Embedding(9, 8), nn.Linear(8, 4))
    _, found = swap(net, example_input=torch.zeros(2, 6, dtype=torch.int64))
    assert [call.shape for call in found["1"].calls] == [(2, 6, 8)]
    bilinear = nn.ModuleList([nn.Linear(2, 2)])
    bilinear.forward = lambda x, y: bilinear[0](x) + y  # type: ignore[method-assign]
    _, found = swap(bilinear, example_input=(torch.zeros(3, 2), torch.ones(3, 2)))
    assert len(found) == 1


def test_what_was_given_is_left_as_it_was() -> None:
    net = network()
    net.head.eval()
    net(torch.randn(2, 3, 4, 4)).sum().backward()
    before = copy.deepcopy(net)
    gradients = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    state = torch.get_rng_state()
    new, _ = swap(net)
    assert torch.equal(torch.get_rng_state(), state)
    assert net.num_passes == before.num_passes
    for name, value in before.state_dict().items():
        assert torch.equal(net.state_dict()[name], value)
    for one, other in zip(net.modules(), before.modules(), strict=True):
        assert type(one) is type(other)
        assert one.training == other.training
        assert not one._forward_hooks
        assert not one._forward_pre_hooks
    assert len(gradients) == 8
    for name, parameter in net.named_parameters():
        gradient = parameter.grad
        assert (gradient is None) == (name not in gradients)
        assert gradient is None or torch.equal(gradient, gradients[name])
    assert not {id(p) for p in new.parameters()} & {id(p) for p in net.parameters()}
    assert new.num_passes == net.num_passes
    assert torch.equal(new.norm.running_mean, net.norm.running_mean)


def test_in_place_only_layers_change() -> None:
    net = network()
    before, norm, unused = copy.deepcopy(net), net.norm, net.unused
    new, _ = swap(net, inplace=True)
    assert new is net
    assert isinstance(net.conv, SparseConv2d)
    assert isinstance(net.head[1], SparseLinear)
    assert net.norm is norm
    assert net.unused is unused
    assert torch.equal(norm.running_mean, before.norm.running_mean)
    assert norm.num_batches_tracked == before.norm.num_batches_tracked
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(net.eval()(x), before.eval()(x))


def test_a_layer_called_twice_counts_twice_and_stays_one() -> None:
    seen: list[int] = []

    def measure(layers: Mapping[str, nn.Module], calls: Sequence[Call]) -> Costs:
        seen.append(len(calls))
        return SPARSE_WINS(layers, calls)

    layer = nn.Linear(4, 4)
    with torch.no_grad():
        layer.weight[1:] = 0.0
    net = nn.Sequential(layer, nn.ReLU(), layer, nn.Sequential(layer))
    new, found = swap(net, (4,), measure=measure, min_sparsity=0.7)
    assert seen == [3]
    assert list(found) == ["0"]
    assert isinstance(new[0], SparseLinear)
    assert new[0] is new[2]
    assert new[0] is new[3][0]


class Doubled(nn.Linear):
    """A subclass that computes something else."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


def test_what_stays_is_said() -> None:
    net = nn.Sequential(Doubled(4, 4), nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
    net[1].register_forward_hook(lambda *_: None)
    net[3].weight = net[2].weight
    _, found = swap(net, (4,), min_sparsity=0.0, measure=no_measure)
    assert {layer.chosen for layer in found.values()} == {"dense"}
    assert found["0"].reason == "a Doubled is more than a Linear or Conv2d"
    assert found["1"].reason == "it has hooks, which would be lost"
    assert found["2"].reason == "it shares a parameter with '3.weight'"
    encoder = nn.TransformerEncoderLayer(4, 2, 8)
    _, found = swap(
        encoder, example_input=torch.zeros(3, 2, 4), min_sparsity=0.0, measure=no_measure
    )
    assert found["linear1"].reason == "a TransformerEncoderLayer reads its weight itself"
    new, found = swap(network(), skip_modules=["head", "conv"])
    assert found["head.1"].reason == found["conv"].reason == "skipped"
    assert found["unused"].reason == "not called in the forward pass"
    assert [type(new.conv), type(new.head[1]), type(new.unused)] == [
        nn.Conv2d,
        nn.Linear,
        nn.Linear,
    ]
    assert isinstance(new.twice, SparseConv2d)


def test_choices_need_no_measure() -> None:
    choices = {"conv": "sparse", "twice": "dense", "head.1": "dense_bf16", "unused": "sparse"}
    new, found = swap(network(0.0), choices=choices, measure=no_measure)
    kinds = [type(layer) for layer in (new.conv, new.twice, new.head[1], new.unused)]
    assert kinds == [SparseConv2d, nn.Conv2d, Bfloat16Linear, SparseLinear]
    assert {name: layer.chosen for name, layer in found.items()} == choices
    assert found["conv"].reason == "the caller's choice"


def test_a_choice_of_eight_bits_needs_quantize() -> None:
    choices = {"conv": "sparse_int8"}
    message = r"^choices.conv: 'sparse_int8' given, allowed with quantize=True only$"
    with pytest.raises(UsageError, match=message):
        swap(network(0.0), choices=choices, measure=no_measure)
    _, found = swap(network(0.0), choices=choices, measure=no_measure, quantize=True)
    assert found["conv"].chosen == "sparse_int8"


class Residual(nn.Module):
    """A block of a ResNet with batch norm and a projection."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.down = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm1(self.conv1(x)).relu()
        return (self.norm2(self.conv2(y)) + self.down(x)).relu()


def resnet() -> nn.Sequential:
    torch.manual_seed(0)
    stem = nn.Conv2d(3, 6, 3, padding=1, bias=False)
    blocks = (Residual(6, 6, 1), Residual(6, 9, 2))
    pool = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net = nn.Sequential(stem, *blocks, *pool, nn.Linear(9, 4)).double()
    apply_masks(net, global_magnitude(net, 0.7))
    return net


def losses_of_five_steps(net: nn.Module) -> list[float]:
    generator = torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.2, momentum=0.9, weight_decay=0.01)
    found = []
    for _ in range(5):
        x = torch.randn(6, 3, 6, 6, generator=generator, dtype=torch.float64)
        targets = torch.randint(4, (6,), generator=generator)
        loss = nn.functional.cross_entropy(net(x), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


def dense_weights(net: nn.Module) -> dict[str, Tensor]:
    return {
        name: layer.dense_weight() if isinstance(layer, SparseLayer) else layer.weight
        for name, layer in net.named_modules()
        if isinstance(layer, SparseLayer | nn.Conv2d | nn.Linear)
    }


def test_a_swapped_network_trains_as_one_with_masks() -> None:
    """Layers of every fate: sparse, slower so, of too few zeros, skipped, and chosen."""
    net = resnet()

    def measure(layers: Mapping[str, nn.Module], calls: Sequence[Call]) -> Costs:
        is_large = calls[0].shape[1] > 6
        return Costs({"dense": 2.0, "sparse": 1.0 if is_large else 3.0})

    swapped, found = swap(
        net,
        (6, 3, 6, 6),
        min_sparsity=0.6,
        choices={"1.conv1": "sparse", "1.conv2": "dense"},
        skip_modules=["1.down"],
        measure=measure,
    )
    fates = {"skipped", "the caller's choice", "less than 60 % zeros"}
    reasons = {layer.reason for layer in found.values()}
    assert fates < reasons
    assert {layer.zeros_held_by for layer in found.values()} == {"pattern", "mask"}
    for layer in found.values():
        is_sparse = isinstance(swapped.get_submodule(layer.name), SparseLayer)
        assert (layer.zeros_held_by == "pattern") == is_sparse
    zeros = {name: weight == 0 for name, weight in dense_weights(net).items()}
    for name in zeros:
        custom_from_mask(net.get_submodule(name), "weight", ~zeros[name])
    assert losses_of_five_steps(swapped) == pytest.approx(losses_of_five_steps(net), rel=1e-9)
    for name, weight in dense_weights(swapped).items():
        assert torch.equal(weight == 0, zeros[name])
        pruned = net.get_submodule(name)
        torch.testing.assert_close(weight, pruned.weight_orig * pruned.weight_mask)


def test_zeros_may_be_trained_instead() -> None:
    net, found = swap(network(), hold_zeros=False, choices={"conv": "dense", "twice": "sparse"})
    held = {name: layer.zeros_held_by for name, layer in found.items()}
    assert (held["conv"], held["twice"]) == ("nothing", "pattern")
    net(torch.randn(2, 3, 4, 4)).sum().backward()
    assert net.conv.weight.grad.all()
    assert not net.conv._forward_pre_hooks


def test_layers_of_zeros_alone_are_warned_of() -> None:
    """They may be pruned so, or begin so: a head that is to be trained."""
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    nn.init.zeros_(net[1].weight)
    with pytest.warns(UserWarning, match="layer '1': all weights are zero, and stay zero"):
        swap(net, (4,), skip_modules=["1"])
    swap(net, (4,), skip_modules=["1"], hold_zeros=False)


def test_layers_without_zeros_are_held_by_nothing() -> None:
    net, found = swap(network(0.0))
    assert {layer.zeros_held_by for layer in found.values()} == {""}
    assert not any(module._forward_pre_hooks for module in net.modules())


def test_a_swapped_network_is_swapped_again() -> None:
    choices = {"conv": "dense", "twice": "dense_bf16", "head.1": "dense"}
    first, _ = swap(network(), choices=choices)
    mask = first.head[1].weight != 0
    again, found = swap(first, choices={"conv": "sparse"}, skip_modules=["head"])
    held = {name: layer.zeros_held_by for name, layer in found.items()}
    assert held == {"conv": "pattern", "twice": "mask", "head.1": "mask", "unused": "mask"}
    assert found["twice"].reason == "a Bfloat16Conv2d is more than a Linear or Conv2d"
    assert isinstance(again.conv, SparseConv2d)
    assert len(again.head[1]._forward_pre_hooks) == 1
    again(torch.randn(2, 3, 4, 4)).square().sum().backward()
    assert torch.equal(again.head[1].weight.grad != 0, mask)
    assert not again.twice.weight.grad[again.twice.weight == 0].any()
    released, _ = swap(again, skip_modules=["head"], hold_zeros=False)
    released(torch.randn(2, 3, 4, 4)).sum().backward()
    assert released.head[1].weight.grad.all()


def test_what_is_not_called_in_the_pass_holds_its_zeros() -> None:
    """An encoder's attention reads the weight of its last layer itself."""
    encoder = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0)
    apply_masks(encoder, uniform_magnitude(encoder, 0.5))
    example = torch.randn(3, 2, 4)
    new, found = swap(encoder, example_input=example)
    assert {layer.zeros_held_by for layer in found.values()} == {"mask"}
    zeros = {name: weight == 0 for name, weight in dense_weights(new).items()}
    new = copy.deepcopy(new)
    optimizer = torch.optim.SGD(new.parameters(), lr=0.1)
    new(example).square().sum().backward()
    optimizer.step()
    for name, weight in dense_weights(new).items():
        assert torch.equal(weight == 0, zeros[name])


class Unweighted(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_what_cannot_be_held_is_said() -> None:
    table = {**CANDIDATES, "other": Candidate(make=lambda layer: Unweighted())}
    _, found = swap(network(), candidates=table, choices={"twice": "other"})
    assert found["twice"].zeros_held_by == "nothing"
    assert found["twice"].reason == (
        "the caller's choice; Unweighted is no Linear or Conv2d, so its zeros are not held"
    )


def refusing(layer: nn.Module) -> nn.Module:
    raise UsageError("weight: no such layer of 8 bits")


TABLE = {
    **CANDIDATES,
    "sparse_int8": Candidate(make=to_sparse, is_int8=True),
    "other_int8": Candidate(make=refusing, is_int8=True),
}


def test_eight_bits_are_tried_if_allowed_and_taken_if_they_win() -> None:
    _, found = swap(network(), candidates=TABLE, measure=SPARSE_WINS)
    assert list(found["conv"].costs) == ["dense", "dense_bf16", "sparse"]
    costs = {"dense": 3.0, "dense_bf16": 2.5, "sparse": 2.0}
    for cost, winner in ((1.0, "sparse_int8"), (2.1, "sparse")):
        measure = costing(**costs, sparse_int8=cost)
        _, found = swap(network(), candidates=TABLE, quantize=True, measure=measure)
        assert found["conv"].costs == {**costs, "sparse_int8": cost}
        assert found["conv"].chosen == winner
        assert found["conv"].refusals == {"other_int8": "weight: no such layer of 8 bits"}


def test_int8_layers_for_real() -> None:
    new, _ = swap(network(), quantize=True, choices={"conv": "sparse_int8"})
    assert isinstance(new.conv, QuantizedSparseConv2d)
    new(torch.randn(2, 3, 4, 4)).sum().backward()


def test_a_layer_that_nothing_else_takes() -> None:
    table = {"dense": CANDIDATES["dense"], "other_int8": TABLE["other_int8"]}
    _, found = swap(network(), candidates=table, quantize=True)
    assert found["conv"].reason == "no candidate takes it"


@pytest.mark.parametrize(
    "swapping",
    [
        partial(swap_modules_with_sparse, prototype=True),
        partial(swap_modules_with_sparse, vectorizing_over_on=False),
    ],
)
def test_hints_warn(swapping: Callable[..., nn.Module]) -> None:
    with pytest.warns(UserWarning, match="without effect here") as warned:
        swapping(network(), (3, 4, 4), skip_modules=["conv", "twice"])
    assert len(warned) == 1


def test_the_documented_call_returns_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    net = network()
    new = swap_modules_with_sparse(
        net, (3, 4, 4), inplace=True, verbose=True, prototype=False, quantize=True
    )
    assert new is net
    assert "conv" in capsys.readouterr().out


def test_the_network_may_be_the_layer() -> None:
    layer = nn.Linear(4, 4)
    new, found = swap(layer, (4,), min_sparsity=0.0, inplace=True)
    assert isinstance(new, SparseLinear)
    assert list(found) == [""]


@pytest.mark.parametrize("objective", ["time", "memory"])
def test_measured_for_real(objective: Any) -> None:
    net = network()
    new, report = swap_layers(net, (4, 3, 4, 4), objective=objective)
    measured = {layer.name for layer in report.layers if layer.costs}
    assert measured == {"conv", "twice", "head.1"}
    for layer in report.layers:
        assert all(cost > 0 for cost in layer.costs.values())
    new(torch.randn(2, 3, 4, 4)).sum().backward()


REPORT = SwapReport(
    objective="time",
    layers=(
        LayerSwap(
            name="features.conv",
            kind="Conv2d",
            sparsity=0.95,
            calls=(Call(shape=(32, 3, 8, 8)),) * 2,
            costs={"dense": 0.0123, "sparse": 0.002},
            refusals={"sparse_int8": "no"},
            chosen="sparse",
            reason="faster",
            zeros_held_by="pattern",
        ),
        LayerSwap(
            name="fc", kind="Linear", sparsity=0, calls=(), chosen="dense", reason="few zeros"
        ),
    ),
)

# fmt: off
PRINTED = """\
layer          kind    zeros %  inputs         dense ms  sparse ms  chosen  zeros held by  why
----------------------------------------------------------------------------------------------
features.conv  Conv2d     95.0  2 of 32x3x8x8    12.300      2.000  sparse  pattern        faster; sparse_int8: no
fc             Linear      0.0                                      dense                  few zeros"""  # noqa: E501
# fmt: on


def test_a_report_is_a_table() -> None:
    lines = str(REPORT).splitlines()
    assert [line for line in lines if set(line) != {"-"}] == [
        line for line in PRINTED.splitlines() if set(line) != {"-"}
    ]


def test_verbose_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    _, report = swap_layers(network(), (3, 4, 4), measure=SPARSE_WINS)
    assert capsys.readouterr().out == ""
    swap_layers(network(), (3, 4, 4), verbose=True, measure=SPARSE_WINS)
    assert capsys.readouterr().out == f"{report}\n"


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "neither": (
        lambda: swap_layers(network()),
        "input_shape, example_input: neither given",
    ),
    "both": (lambda: swap(network(), (3, 4, 4), example_input=torch.zeros(1)), "both given"),
    "sizes": (lambda: swap(network(), (1, 2, 3, 4, 4)), r"\[1, 2, 3, 4, 4\] given; \[B, C, H, W\]"),
    "zero": (lambda: swap(network(), (0, 3, 4, 4)), r"\[0, 3, 4, 4\] given; sizes of at least 1"),
    "batch": (
        lambda: swap(network(), (2, 3, 4, 4), batch_size=2),
        "batch_size: 2 given; the input",
    ),
    "input": (lambda: swap(network(), (4, 4, 4)), r"input: \[32, 4, 4, 4\] given, which the"),
    "sparsity": (lambda: swap(network(), min_sparsity=2), "min_sparsity: 2 given; 0 to 1 allowed"),
    "gain": (lambda: swap(network(), min_gain=-1), "min_gain: -1 given; at least 0 allowed"),
    "objective": (
        lambda: swap(network(), objective="energy"),
        "objective: 'energy' given; time or memory allowed",
    ),
    "choice": (
        lambda: swap(network(), choices={"conv": "spars"}),
        "choices.conv: unknown candidate 'spars'; did you mean 'sparse'",
    ),
    "chosen": (
        lambda: swap(network(), choices={"head.2": "sparse"}),
        "choices: unknown layer 'head.2'; did you mean 'head.1'",
    ),
    "unfit": (
        lambda: swap(Doubled(4, 4), (4,), choices={"": "sparse"}),
        "choices.: cannot be replaced: a Doubled is more",
    ),
    "skip": (
        lambda: swap(network(), skip_modules=["twic"]),
        "skip_modules: unknown module 'twic'; did you mean 'twice'",
    ),
    "skipped": (lambda: swap(network(), skip_modules=["norm"]), "'norm' has no Linear and no"),
    "two wishes": (
        lambda: swap(network(), skip_modules=["conv"], choices={"conv": "dense"}),
        "skip_modules: has a layer that is among the choices too",
    ),
    "table": (
        lambda: swap(network(), candidates={"sparse": CANDIDATES["sparse"]}),
        "candidates: sparse given; 'dense' must be among them",
    ),
    "no layer": (lambda: swap(nn.ReLU(), (4,)), "network: ReLU has no Linear and no Conv2d"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_use_is_one_clear_line(name: str) -> None:
    use, message = WRONG[name]
    with pytest.raises(UsageError, match=message) as error:
        use()
    assert "\n" not in str(error.value)
