import threading

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.start import StartController
from quantlab.algorithms.ste import SteConfig, ste
from quantlab.controller import ReduceOp
from quantlab.errors import DivergedError, UsageError

W4 = {"kind": "ste", "num_bits": 4}


class Ring:
    """Ranks that are threads of this process and wait for each other."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.barrier = threading.Barrier(size, timeout=60)
        self.tensors: list[Tensor] = [torch.empty(0)] * size


class ThreadReducer:
    def __init__(self, ring: Ring, rank: int) -> None:
        self._ring, self.size, self.rank = ring, ring.size, rank
        self.num_calls = 0

    def all_reduce(self, tensor: Tensor, op: ReduceOp) -> Tensor:
        self.num_calls += 1
        self._ring.tensors[self.rank] = tensor
        self._ring.barrier.wait()
        stacked = torch.stack(self._ring.tensors)
        self._ring.barrier.wait()
        return {"sum": stacked.sum, "min": stacked.amin, "max": stacked.amax}[op](0)


def test_gradient_at_the_ends() -> None:
    x = torch.tensor([-3.6, -3.5, -3.4, 0.2, 3.4, 3.5], requires_grad=True)
    y = ste(x, torch.tensor(1.0), None, quant_min=-3, quant_max=3)
    y.sum().backward()
    assert y.tolist() == [-3, -3, -3, 0, 3, 3]
    assert x.grad is not None
    assert x.grad.tolist() == [0, 1, 1, 1, 1, 0]


def test_largest_weights_keep_their_gradient() -> None:
    for seed in range(50):
        weight = torch.randn(8, 3, 3, 3, generator=torch.Generator().manual_seed(seed))
        quantizer = SteConfig(num_bits=4).quantizer("weight", weight)
        quantizer.set_enabled(True)
        weight.requires_grad_()
        quantizer(weight).sum().backward()
        assert weight.grad is not None
        assert bool((weight.grad == 1).all())
        assert bool((quantizer.codes(weight).flatten(1).abs().amax(1) == 7).all())


@pytest.mark.parametrize("granularity", ["per_tensor", "per_axis:0", "per_group:9"])
def test_weight_scales_follow_in_training_and_rest_in_evaluation(granularity: str) -> None:
    weight = torch.randn(4, 3, 3, 3)
    quantizer = SteConfig(num_bits=4, granularity=granularity).quantizer("weight", weight)
    quantizer.set_enabled(True)
    quantizer.set_observing(True)
    before = quantizer.scale.clone()
    quantizer.eval()(2 * weight)
    assert torch.equal(quantizer.scale, before)
    quantizer.train()(2 * weight)
    assert torch.equal(quantizer.scale, 2 * before)
    quantizer(torch.zeros(4, 3, 3, 3))
    assert bool((quantizer.scale == 1).all())


@pytest.mark.parametrize(
    ("num_bits", "default"), [(2, "mean"), (3, "mean"), (4, "max"), (8, "max")]
)
def test_weight_ranges(num_bits: int, default: str) -> None:
    weight = torch.randn(4, 3, 3, 3, generator=torch.Generator().manual_seed(2))
    sizes = weight.double().abs().flatten(1)
    quant_max = 2 ** (num_bits - 1) - 1
    wanted = {"max": sizes.amax(1) / quant_max, "mean": 2 * sizes.mean(1) / quant_max**0.5}
    for weight_range, scale in (*wanted.items(), (None, wanted[default])):
        config = SteConfig(num_bits=num_bits, weight_range=weight_range)
        found = config.quantizer("weight", weight).scale.flatten()
        torch.testing.assert_close(found, scale.float())


def test_two_bits_are_ternary() -> None:
    weight = torch.tensor([[-1.0, -0.4, 0.0, 0.6]])
    quantizer = SteConfig(num_bits=2).quantizer("weight", weight)
    quantizer.set_enabled(True)
    assert quantizer(weight).tolist() == [[-1.0, 0.0, 0.0, 1.0]]


def stages(network: nn.Module, layer: int, on: str) -> tuple[str, bool]:
    quantizer = getattr(network[layer], f"{on}_quantizer")
    return quantizer.stage, quantizer.is_observing


def test_timeline(network, batches, train, rules) -> None:
    late = {**W4, "start_epoch": 2}
    controllers = quantize(network, rules(("*", "weight", late), ("*", "input", late)))
    seen = []
    step = 0
    for _ in range(3):
        step = train(
            network, controllers, batches, epochs=3, first_step=step, num_steps=len(batches)
        )
        seen.append((stages(network, 0, "weight"), stages(network, 2, "input")))
    assert seen == [
        (("float", False), ("float", False)),
        (("float", False), ("float", True)),
        (("fake-quantized", True), ("fake-quantized", False)),
    ]
    assert controllers[1].describe(0) == "ste: 3 tensors float until epoch 2"
    assert controllers[1].describe(1) == "ste: 3 tensors observed until epoch 2"
    assert controllers[1].describe(2) == "ste: 3 tensors fake-quantized"


def test_first_steps_are_observed_when_starting_at_once(network, batches, train, rules) -> None:
    early = {**W4, "start_epoch": 0}
    controllers = quantize(
        network, rules(("*", "weight", early), ("*", "input", {**early, "observe_steps": 2}))
    )
    train(network, controllers, batches, epochs=1, num_steps=2)
    assert stages(network, 0, "weight") == ("fake-quantized", True)
    assert stages(network, 2, "input") == ("float", True)
    train(network, controllers, batches, epochs=1, first_step=2, num_steps=1)
    assert stages(network, 2, "input") == ("fake-quantized", False)
    assert network[2].input_quantizer.observer.num_batches == 2
    assert controllers[1].describe(0).endswith("activations after step 2")


def test_sign_is_found_and_the_range_frozen(network, batches, train, rules) -> None:
    controllers = quantize(network, rules(("*", "input", {**W4, "observer": "minmax"})))
    train(network, controllers, batches, epochs=1)
    train(network, controllers, batches, epochs=3, first_step=4, num_steps=1)
    image, hidden = network[0].input_quantizer, network[2].input_quantizer
    assert image.spec.signed
    assert not hidden.spec.signed
    low = min(inputs.min() for inputs, _ in batches)
    high = max(inputs.max() for inputs, _ in batches)
    assert torch.equal(image.scale, torch.maximum(high / 7, -low / 8))
    scale = hidden.scale.clone()
    train(network, controllers, batches, epochs=3, first_step=5)
    assert torch.equal(hidden.scale, scale)


def test_asymmetric_range(network, batches, train, rules) -> None:
    controllers = quantize(
        network, rules(("first", "input", {**W4, "num_bits": 8, "symmetric": False}))
    )
    train(network, controllers, batches, epochs=2)
    quantizer = network[0].input_quantizer
    assert 0 < quantizer.zero_point < 255
    inputs, _ = batches[0]
    assert (quantizer(inputs) - inputs).abs().max() < 1.5 * quantizer.scale + 0.8
    assert quantizer(torch.zeros(1)) == 0


def test_ranks_agree_on_the_widest_range(new_network, batches, train, rules) -> None:
    ring = Ring(2)
    networks = [new_network(), new_network()]
    reducers = [ThreadReducer(ring, rank) for rank in range(2)]
    both = {**W4, "observer": "minmax"}
    errors: list[BaseException] = []

    def run(rank: int) -> None:
        try:
            # Each rank sees other data, and no weight changes, so the ranges are known.
            controllers = quantize(networks[rank], rules(("*", "input", both)))
            mine = [((1 + rank) * x, y) for x, y in batches]
            train(networks[rank], controllers, mine, epochs=2, lr=0.0, communicator=reducers[rank])
        except BaseException as error:  # shown by the test, not lost in the thread
            errors.append(error)
            ring.barrier.abort()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    num_steps, num_parameters = 2 * len(batches), len(list(new_network().parameters()))
    assert [r.num_calls for r in reducers] == [num_steps * num_parameters + 1] * 2
    one, two = (
        {name: value for name, value in network.state_dict().items() if "observer" not in name}
        for network in networks
    )
    for name, value in one.items():
        assert torch.equal(value, two[name]), name
    alone = new_network()
    controllers = quantize(alone, rules(("*", "input", both)))
    train(alone, controllers, [(2 * x, y) for x, y in batches], epochs=2, lr=0.0)
    assert torch.equal(alone[0].input_quantizer.scale, one["0.input_quantizer.scale"])


def test_nothing_observed_is_an_error(network, batches, train, rules) -> None:
    controllers = quantize(network, rules(("*", "input", W4)))
    with pytest.raises(UsageError, match=r"0\.input_quantizer: 0 batches observed"):
        train(network, controllers, batches, epochs=2, first_step=4)


def test_infinite_range_is_divergence(network, batches, train, rules) -> None:
    controllers = quantize(network, rules(("*", "input", W4)))
    bad = [(x * float("inf"), y) for x, y in batches]
    with pytest.raises(DivergedError, match=r"0\.input_quantizer: range"):
        train(network, controllers, bad, epochs=2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"percentile": 99}, "percentile: has no effect without observer 'percentile'"),
        ({"observe_steps": 5}, "observe_steps: has no effect with start_epoch 1, only with 0"),
        ({"granularity": "per_chanel"}, "granularity: 'per_chanel' given"),
        ({"granularity": 3}, "granularity: 3 given"),
        ({"bits": 3}, "Extra inputs"),
    ],
)
def test_impossible_settings(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        SteConfig.model_validate({**W4, **settings})


@pytest.mark.parametrize(
    ("settings", "on", "message"),
    [
        ({"signed": True}, "weight", "signed: True has no effect on a weight"),
        ({"symmetric": False}, "weight", "symmetric: False has no effect on a weight"),
        ({"num_bits": 1}, "weight", "num_bits: 1 given"),
        ({"weight_range": "max"}, "input", "weight_range: 'max' has no effect on an input"),
        ({"num_bits": 1}, "input", "num_bits: 1 given"),
        ({"granularity": "per_axis:1"}, "output", "granularity: 'per_axis:1' given for an output"),
    ],
)
def test_settings_that_do_not_fit_the_tensor(settings, on, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SteConfig.model_validate({**W4, **settings}).check(on)


def test_one_unsigned_bit(network, batches, train, rules) -> None:
    controllers = quantize(
        network, rules(("!first", "input", {**W4, "num_bits": 1, "signed": False}))
    )
    train(network, controllers, batches, epochs=2)
    hidden = network[2].input_quantizer
    assert hidden(torch.rand(1000) * 5).unique().numel() == 2


def test_steady_state_waits_for_no_device(network, batches, train, rules) -> None:
    controllers = quantize(network, rules(("*", "weight", W4), ("*", "input", W4)))
    train(network, controllers, batches, epochs=2)
    # On the meta device every question about a value is an error.
    ghost = network.to("meta")
    ghost(torch.empty(8, 2, 6, 6, device="meta")).sum().backward()
    ghost[0].input_quantizer.set_observing(True)
    ghost(torch.empty(8, 2, 6, 6, device="meta")).sum().backward()


@pytest.mark.long
# Inductor imports deprecated parts of torch, and Dynamo makes an instance of each Function.
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_training_step_compiles_without_breaks(network, batches, train, rules) -> None:
    controllers = quantize(network, rules(("*", "weight", W4), ("*", "input", W4)))
    train(network, controllers, batches, epochs=2)
    torch.compiler.reset()
    compiled = torch.compile(network, fullgraph=True)
    inputs, _ = batches[0]
    wanted = torch.autograd.grad(network(inputs).sum(), network[0].weight)[0]
    found = torch.autograd.grad(compiled(inputs).sum(), network[0].weight)[0]
    torch.testing.assert_close(found, wanted)


def test_four_bits_learn(new_network, train, rules, draw) -> None:
    network = new_network()
    controllers = quantize(network, rules(("*", "weight", W4), ("*", "input", W4)))
    assert all(isinstance(controller, StartController) for controller in controllers)
    train(network, controllers, [draw(32) for _ in range(20)], epochs=4)
    inputs, targets = draw(500)
    accuracy = (network.eval()(inputs).argmax(1) == targets).float().mean()
    assert accuracy > 0.95


def test_observed_ranges_use_any_observer(new_network, batches, train, rules) -> None:
    scales: dict[str, float] = {}
    for observer in ("minmax", "moving_average", "percentile"):
        network = new_network()
        settings = {**W4, "observer": observer}
        if observer == "percentile":
            settings["percentile"] = 95
        controllers = quantize(network, rules(("first", "input", settings)))
        train(network, controllers, batches, epochs=2)
        scales[observer] = network[0].input_quantizer.scale.item()
    assert scales["minmax"] > scales["moving_average"] > scales["percentile"] > 0
