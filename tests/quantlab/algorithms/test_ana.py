import numpy as np
import pytest
import torch
from pydantic import ValidationError
from scipy import stats
from torch import Tensor
from torch._dynamo.testing import CompileCounter

from quantlab.algorithms import quantize
from quantlab.algorithms.ana import AnaConfig, AnaQuantizer
from quantlab.algorithms.noise import NOISES
from quantlab.errors import UsageError
from tests.quantlab.algorithms.cases.ana import NOISES as SCIPY

ZERO = {"kind": "constant", "value": 0.0}
CONFIG = {
    "kind": "ana",
    "num_levels": 3,
    "noise": {"kind": "linear", "end": 4, "initial": 0.5, "final": 0.0},
    "noise_backward": {"kind": "constant", "value": 0.5},
}


def new(shape: tuple[int, ...] = (8, 9), **settings: object) -> tuple[AnaQuantizer, Tensor]:
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    quantizer = AnaConfig.model_validate({**CONFIG, **settings}).quantizer("weight", weight)
    assert isinstance(quantizer, AnaQuantizer)
    quantizer.set_enabled(True)
    return quantizer, weight


@pytest.mark.parametrize("forward", ["expectation", "mode", "random"])
def test_without_noise_the_stairs_are_hard(forward: str) -> None:
    quantizer, weight = new(forward=forward)
    s = quantizer.scale.item()
    x = torch.tensor([-9.0, -0.51, -0.5, -0.49, 0.0, 0.49, 0.5, 7.0]) * s
    wanted = torch.tensor([-1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0]) * s
    quantizer.set_noise(0.0, 0.5)
    assert torch.equal(quantizer.train()(x), wanted)
    quantizer.set_noise(0.5, 0.5)
    assert torch.equal(quantizer.eval()(x), wanted)
    assert quantizer(weight).unique().numel() == 3


@pytest.mark.parametrize("kind", list(NOISES))
def test_random_codes_have_the_distribution_of_the_noise(kind: str) -> None:
    quantizer, _ = new(noise_kind=kind, forward="random")
    quantizer.set_noise(0.7, 0.7)
    quantizer.set_seed(3)
    v, count = 0.3, 200_000
    codes = quantizer.train()(torch.full((count,), v) * quantizer.scale) / quantizer.scale
    over = SCIPY[kind].cdf((v - np.array([-0.5, 0.5])) / 0.7)
    wanted = np.array([1 - over[0], over[0] - over[1], over[1]])
    found = np.array([(codes.round() == c).float().mean().item() for c in (-1, 0, 1)])
    assert np.all(np.abs(found - wanted) < 5 * np.sqrt(wanted * (1 - wanted) / count) + 1e-6)


def test_random_draws_follow_the_seed() -> None:
    quantizer, weight = new(forward="random")
    quantizer.set_noise(0.5, 0.5)
    draws = []
    for seed in (1, 1, 2):
        quantizer.set_seed(seed)
        draws.append(quantizer.train()(weight))
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_layers_are_annealed_one_after_another(network, batches, train, rules) -> None:
    controllers = quantize(network, rules(("*", "weight", {**CONFIG, "stagger": 2.0})))
    train(network, controllers, batches, epochs=5)
    noises = [network[i].weight_quantizer.noise[0].item() for i in (0, 2, 4)]
    assert noises == [0.0, 0.25, 0.5]
    assert controllers[0].describe(4) == "ana: 3 tensors fake-quantized, noise 0 to 0.5"


def test_trains(new_network, train, rules, draw) -> None:
    """The original's backward pass raised an IndexError."""
    network = new_network()
    controllers = quantize(network, rules(("*", "weight", CONFIG)))
    train(network, controllers, [draw(32) for _ in range(20)], epochs=5)
    inputs, targets = draw(500)
    accuracy = (network.eval()(inputs).argmax(1) == targets).float().mean()
    assert accuracy > 0.95
    assert network[2].weight_quantizer(network[2].weight).unique().numel() == 3


def test_no_backward_noise_no_gradient() -> None:
    quantizer, weight = new(noise=ZERO, noise_backward=None)
    weight.requires_grad_()
    quantizer.set_noise(0.0, 0.0)
    quantizer.train()(weight).sum().backward()
    assert weight.grad is not None
    assert not weight.grad.any()


# Dynamo makes an instance of each Function.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
def test_annealing_compiles_nothing_anew() -> None:
    quantizer, weight = new()
    weight.requires_grad_()
    torch.compiler.reset()
    counter = CompileCounter()
    compiled = torch.compile(quantizer.train(), backend=counter, fullgraph=True)
    for noise in (0.5, 0.3, 0.1, 0.0):
        quantizer.set_noise(noise, noise)
        assert torch.equal(compiled(weight), quantizer(weight))
    assert counter.frame_count == 1


def test_noise_below_zero(network, batches, train, rules) -> None:
    config = {**CONFIG, "noise": {"kind": "linear", "end": 2, "initial": 0.5, "final": -0.5}}
    controllers = quantize(network, rules(("*", "weight", config)))
    with pytest.raises(UsageError, match=r"noise: -0\.5 at epoch 2, at least 0 allowed"):
        train(network, controllers, batches, epochs=3)


def test_too_few_levels(rules) -> None:
    with pytest.raises((UsageError, ValidationError), match="num_levels: 1 given"):
        rules(("*", "weight", {**CONFIG, "num_levels": 1}))


@pytest.mark.parametrize("kind", list(NOISES))
def test_distributions(kind: str) -> None:
    u = torch.linspace(-4, 4, 401, dtype=torch.float64)
    noise, wanted = NOISES[kind], SCIPY[kind]
    assert wanted.mean() == pytest.approx(0, abs=1e-12)
    assert wanted.std() == pytest.approx(1)
    np.testing.assert_allclose(noise.cdf(u), wanted.cdf(u), atol=1e-12)
    np.testing.assert_allclose(noise.density(u), wanted.pdf(u), atol=1e-12)
    p = torch.linspace(0.001, 0.999, 333, dtype=torch.float64)
    np.testing.assert_allclose(noise.quantile(p), wanted.ppf(p), atol=1e-9)
    sample = noise.quantile(torch.rand(20_000, generator=torch.Generator().manual_seed(0)))
    assert stats.kstest(sample, wanted.cdf).pvalue > 1e-4
