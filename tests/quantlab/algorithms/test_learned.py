"""LSQ, PACT and TQT: what only they do."""

import pytest
import torch
from torch import nn

from quantlab.algorithms import parameter_groups, quantize
from quantlab.algorithms.lsq import MIN_SCALE, LsqConfig
from quantlab.algorithms.pact import PactConfig
from quantlab.algorithms.tqt import TqtConfig
from quantlab.errors import UsageError


def test_lsq_starts_where_the_paper_does() -> None:
    weight = torch.randn(4, 9, generator=torch.Generator().manual_seed(0))
    quantizer = LsqConfig(num_bits=3).quantizer("weight", weight)
    wanted = 2 * weight.abs().mean(1, keepdim=True) / 3**0.5
    torch.testing.assert_close(quantizer.scale.detach(), wanted)
    assert (quantizer.quant_min, quantizer.quant_max) == (-4, 3)


def test_lsq_scale_stays_positive() -> None:
    quantizer = LsqConfig(num_bits=3).quantizer("weight", torch.randn(4, 9))
    quantizer.set_enabled(True)
    with torch.no_grad():
        quantizer.step_size.fill_(-1.0)
    assert bool((quantizer.scale == MIN_SCALE).all())
    assert bool(quantizer(torch.randn(4, 9)).isfinite().all())


def test_gradients_of_lsq_agree_with_finite_differences_of_the_loss_outside() -> None:
    """Where all is clipped the loss is smooth in the step size: its gradient must be that."""
    quantizer = LsqConfig(num_bits=3, granularity="per_tensor").quantizer(
        "weight", torch.ones(4, 9)
    )
    quantizer.double().set_enabled(True)
    x = torch.full((4, 9), 100.0, dtype=torch.float64)

    def loss() -> torch.Tensor:
        return quantizer(x).square().sum()

    loss().backward()
    grad = quantizer.step_size.grad / quantizer.gradient_scale(x)
    with torch.no_grad():
        before = loss()
        quantizer.step_size += 1e-6
        slope = (loss() - before) / 1e-6
    torch.testing.assert_close(grad, slope, rtol=1e-4, atol=0)


def test_zero_keeps_its_code_under_a_learned_offset(network, batches, train, rules) -> None:
    lsq_plus = {"kind": "lsq", "num_bits": 4, "symmetric": False}
    controllers = quantize(network, rules(("*", "output", lsq_plus)))
    train(network, controllers, batches, epochs=3)
    for layer in (network[0], network[2], network[4]):
        quantizer = layer.output_quantizer
        assert 0 < quantizer.zero_point < 15
        assert quantizer(torch.zeros(1)) == 0


def test_pact_shrinks_by_its_decay(network, batches, train, rules) -> None:
    ends = []
    for decay in (0.0, 0.5):
        torch.manual_seed(3)
        twin = nn.Sequential(nn.Flatten(), nn.Linear(72, 3))
        rule = {"kind": "pact", "num_bits": 4, "clip_decay": decay, "observer": "minmax"}
        controllers = quantize(twin, rules(("*", "input", rule)))
        train(twin, controllers, batches, epochs=3)
        ends.append(twin[1].input_quantizer.high.item())
    assert ends[1] < ends[0]


def test_tqt_scales_are_powers_of_two() -> None:
    weight = torch.randn(8, 9, generator=torch.Generator().manual_seed(0))
    quantizer = TqtConfig(num_bits=4, weight_range="max").quantizer("weight", weight)
    exponents = quantizer.scale.detach().log2()
    assert torch.equal(exponents, exponents.round())
    ratio = weight.abs().amax(1, keepdim=True) / (8 * quantizer.scale.detach())
    assert bool(((ratio > 0.5) & (ratio <= 1)).all())


def test_tqt_has_no_zero_point() -> None:
    with pytest.raises(UsageError, match=r"^symmetric: input should be True .got False.$"):
        TqtConfig(num_bits=4, symmetric=False)


def test_parameter_groups(network, rules) -> None:
    assert [len(g["params"]) for g in parameter_groups(network)] == [6]
    lsq, pact = {"kind": "lsq", "num_bits": 4}, {"kind": "pact", "num_bits": 4, "clip_decay": 0.1}
    quantize(network, rules(("*", "weight", lsq), ("!first", "input", pact)))
    extra = nn.Parameter(torch.ones(1))
    groups = parameter_groups(network, [extra])
    assert [(len(g["params"]), g.get("weight_decay")) for g in groups] == [
        (7, None),
        (3, 0.0),
        (2, 0.1),
    ]
    assert groups[0]["params"][-1] is extra
    optimizer = torch.optim.SGD(groups, lr=0.1, weight_decay=0.3)
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.3, 0.0, 0.1]


def test_pact_keeps_a_width() -> None:
    quantizer = PactConfig(num_bits=4).quantizer("weight", torch.randn(4, 9))
    with torch.no_grad():
        quantizer.high.fill_(-1.0)
    assert bool((quantizer.scale > 0).all())


def test_the_sign_is_known_when_the_range_is_chosen(new_network, batches, train, rules) -> None:
    """The best range for unsigned codes is another one."""
    scales = []
    for signed in (None, True):
        network = new_network()
        rule = {"kind": "ste", "num_bits": 3, "observer": "mse", "signed": signed}
        controllers = quantize(network, rules(("first", "input", rule)))
        train(network, controllers, batches, epochs=2)
        assert network[0].input_quantizer.spec.signed
        scales.append(network[0].input_quantizer.scale)
    assert torch.equal(*scales)
