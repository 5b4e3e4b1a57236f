"""Generated layers where others look at layers: selectors, rules, statistics, optimizers."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab import calibrate, parameter_groups, quantize, select
from quantlab.algorithms.allocation import sensitivity
from quantlab.algorithms.unused import unused_quantizers
from quantlab.errors import UsageError
from quantlab.generation import MLGConv2d, MLGLinear, MLGSpec
from quantlab.graphs.trace import trace
from quantlab.graphs.weights import weight_of
from quantlab.monitor import Monitor
from quantlab.monitor.table import STATISTICS
from quantlab.sparse.config import PruneConfig, prune
from tests.waiting import OnDevice

SPEC = MLGSpec(base_in=2, base_out=5)
BATCHES = [torch.randn(4, 3, 6, 6) for _ in range(2)]


def network(**changes: Any) -> nn.Sequential:
    torch.manual_seed(0)
    spec = SPEC.model_copy(update=changes)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        MLGConv2d(6, 8, 3, padding=1, spec=spec),
        nn.ReLU(),
        nn.Flatten(),
        MLGLinear(128, 10, spec=spec),
    )


def rule(on: str, chosen: str = "*") -> dict[str, Any]:
    algorithm = {"kind": "lsq", "num_bits": 4, "start_epoch": 0}
    return {"select": chosen, "on": on, "algorithm": algorithm}


NORMS = "batch_norm_factors"


def step(net: nn.Module, optimizer: torch.optim.Optimizer, x: Tensor) -> None:
    optimizer.zero_grad()
    net(x).square().mean().backward()
    optimizer.step()


def test_selectors_see_them_as_what_they_are() -> None:
    assert list(select("type:Conv2d").resolve(network())) == ["0", "3"]
    assert list(select("type:MLG*").resolve(network())) == ["3", "6"]


def test_inputs_and_outputs_are_quantized() -> None:
    net = network()
    quantize(net, [rule("input"), rule("output", "type:MLG*")])
    calibrate(net, BATCHES)
    assert unused_quantizers(net) == []
    layer = net.eval()[3]
    assert layer.input_quantizer.is_enabled
    taken: list[Tensor] = []
    layer.register_forward_hook(lambda _, args, y: taken.append(y))
    net(BATCHES[0])
    (y,) = taken
    torch.testing.assert_close(layer.output_quantizer(y), y)


def test_a_quantizer_of_the_weight_is_refused() -> None:
    with pytest.raises(UsageError, match="3: a quantizer of its weight given, which is generated"):
        quantize(network(), [rule("weight")])


def test_pruning_its_weight_is_refused() -> None:
    with pytest.raises(UsageError, match="layer '3': a weight computed from other param"):
        prune(network(), PruneConfig(sparsity=0.5))
    pruned = prune(network(), PruneConfig(sparsity=0.5, select="!type:MLG*"))
    assert isinstance(pruned.get_submodule("3"), MLGConv2d)


def test_the_graph_calls_them_whole() -> None:
    net = network().eval()
    graph = trace(net)
    torch.testing.assert_close(graph(BATCHES[0]), net(BATCHES[0]))
    assert isinstance(graph.get_submodule("3"), MLGConv2d)


def test_sensitivity_of_inputs() -> None:
    samples = [(x, torch.zeros(len(x), dtype=torch.long)) for x in BATCHES]
    found = sensitivity(
        network(), samples, nn.CrossEntropyLoss(), on="input", bits=[4], algorithm={"kind": "ste"}
    )
    assert [row.num_weights for row in found.rows] == [162, 432, 1280]


@pytest.mark.parametrize("stat", STATISTICS)
def test_statistics_are_about_the_generated_weight(stat: str) -> None:
    net = network()
    quantize(net, [rule("input", "3")])
    calibrate(net, BATCHES)
    monitor = Monitor(net.train())
    monitor.add(STATISTICS[stat](select="type:BatchNorm2d" if stat == NORMS else "3"))
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    monitor.start_step(0)
    before = weight_of(net[3]).detach().clone()
    step(net, optimizer, BATCHES[0])
    read = {reading.name: reading.value for reading in monitor.end_step()}
    assert read
    after = weight_of(net[3]).detach()
    if stat == "weight_norm":
        assert read == {stat: pytest.approx(float(after.norm()))}
    if stat == "update_ratio":
        assert read == {stat: pytest.approx(float((after - before).norm() / before.norm()))}
    if stat == "scale":
        assert {"scale/basis/mean", "scale/coeff_in/mean", "scale/input/mean"} <= read.keys()


@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq", "midtread"])
def test_looking_at_a_weight_changes_nothing(quantizer: str) -> None:
    net = network(quantizer=quantizer)
    step(net, torch.optim.SGD(net.parameters(), lr=1.0), BATCHES[0])
    before = copy.deepcopy(net.state_dict())
    weight_of(net[3])
    after = net.state_dict()
    assert all(torch.equal(after[name], x) for name, x in before.items())


@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq", "midtread"])
def test_a_step_never_waits(quantizer: str) -> None:
    net = network(quantizer=quantizer)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    step(net, optimizer, BATCHES[0])
    for x in OnDevice(BATCHES):
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()


def test_factors_are_not_decayed_unless_asked() -> None:
    net = network(quantizer="lsq")
    net[6].weight_decay = 1e-4
    groups = parameter_groups(net)
    names = {parameter: name for name, parameter in net.named_parameters()}
    found = [{names[p].split(".", 1)[1] for p in group["params"]} for group in groups]
    assert [group.get("weight_decay") for group in groups] == [None, 0.0, 1e-4]
    assert found[0] == {"weight", "bias"}
    assert found[2] == {"basis", "coeff_out"}
    assert {"basis", "coeff_in", "coeff_out", "basis_quantizer.step_size"} <= found[1]
