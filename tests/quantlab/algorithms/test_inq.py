import copy
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from quantlab.algorithms import quantize
from quantlab.algorithms.inq import InqConfig
from quantlab.controller import Alone, Context
from quantlab.errors import UsageError

AT_ONCE = {"kind": "constant", "value": 1.0}


def context(optimizer: torch.optim.Optimizer | None = None, epoch: int = 0) -> Context:
    return Context(
        epoch=epoch,
        step=0,
        optimizer=optimizer,
        communicator=Alone(),
        generator=torch.Generator().manual_seed(4),
    )


def quantized(network: nn.Module, rules: Any, **settings: object) -> list[Any]:
    return quantize(network, rules(("*", "weight", {"kind": "inq", **settings})))


@pytest.mark.parametrize("levels", ["uniform", "power_of_two"])
@pytest.mark.parametrize("num_levels", [2, 3, 4, 5, 7])
def test_as_many_levels_as_asked_for(rules, levels: str, num_levels: int) -> None:
    """The original made {0} of 3 levels and three of 5."""
    torch.manual_seed(0)
    layer = nn.Linear(200, 40)
    (controller,) = quantized(
        layer, rules, num_levels=num_levels, levels=levels, fraction=AT_ONCE, init="mse"
    )
    controller.on_epoch_start(context())
    found = layer.weight.unique()
    assert len(found) == num_levels
    assert bool((found == 0).any()) == bool(num_levels % 2), "even numbers of levels have no zero"
    torch.testing.assert_close(found, -found.flip(0), rtol=0, atol=0)
    assert torch.equal(
        layer(torch.eye(200)), nn.functional.linear(torch.eye(200), layer.weight, layer.bias)
    )


def test_powers_of_the_paper(rules) -> None:
    layer = nn.Linear(4, 1, bias=False)
    layer.weight.data = torch.tensor([[0.9, -0.4, 0.2, 0.05]])
    (controller,) = quantized(layer, rules, num_levels=5, fraction=AT_ONCE)
    controller.on_epoch_start(context())
    # n1 = floor(log2(4 * 0.9 / 3)) = 0, so the levels are 0, +-1/2 and +-1.
    assert layer.weight.tolist() == [[1.0, -0.5, 0.0, 0.0]]


@pytest.mark.parametrize("bias", [True, False])
def test_pretrained_weights_survive_conversion(rules, bias: bool) -> None:
    """The original drew new weights, lost the padding mode and failed with a bias."""
    layer = nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect", bias=bias)
    twin = copy.deepcopy(layer)
    quantized(layer, rules, num_levels=3, fraction=AT_ONCE)
    x = torch.randn(2, 3, 5, 5)
    assert torch.equal(layer(x), twin(x))
    assert layer.padding_mode == "reflect"


def test_the_largest_come_first_and_stay(network, batches, train, rules) -> None:
    controllers = quantized(
        network,
        rules,
        num_levels=5,
        fraction={"kind": "hand", "values": {0: 0.5, 1: 0.75, 2: 1.0}},
    )
    sizes = network[2].weight.detach().abs().flatten()
    train(network, controllers, batches, epochs=3, num_steps=4)
    quantizer = network[2].weight_quantizer
    mask = quantizer.mask.flatten().clone()
    assert int(mask.sum()) == len(mask) // 2
    assert sizes[mask].min() >= sizes[~mask].max()
    fixed = network[2].weight.flatten()[mask].clone()
    train(network, controllers, batches, epochs=3, first_step=4)
    assert torch.equal(network[2].weight.flatten()[mask], fixed)
    assert bool(quantizer.mask.all())
    weight = network[2].weight
    assert torch.equal(weight, quantizer.dequantize(quantizer.codes(weight)))


@pytest.mark.parametrize("optimizer_class", [torch.optim.SGD, torch.optim.AdamW])
@pytest.mark.parametrize("reset", [True, False])
def test_decay_and_momentum_do_not_move_what_is_fixed(
    network, rules, optimizer_class: Any, reset: bool
) -> None:
    settings = {"momentum": 0.9} if optimizer_class is torch.optim.SGD else {}
    optimizer = optimizer_class(network.parameters(), lr=0.1, weight_decay=0.1, **settings)
    x = torch.randn(8, 2, 6, 6)
    (controller,) = quantized(
        network,
        rules,
        num_levels=5,
        reset_optimizer=reset,
        fraction={"kind": "hand", "values": {0: 0.0, 1: 0.5}},
    )
    fixed = None
    for epoch in range(2):
        for _ in range(5):
            controller.on_epoch_start(context(optimizer, epoch))
            optimizer.zero_grad()
            network(x).square().mean().backward()
            optimizer.step()
            controller.on_step_end(context(optimizer, epoch))
            mask = network[0].weight_quantizer.mask
            if fixed is not None:
                assert torch.equal(network[0].weight[mask], fixed)
            elif mask.any():
                fixed = network[0].weight[mask].clone()
    assert fixed is not None
    assert fixed.numel() == network[0].weight.numel() // 2


def test_hooks_may_come_twice(network, rules) -> None:
    (controller,) = quantized(
        network,
        rules,
        num_levels=3,
        strategy="random",
        fraction={"kind": "constant", "value": 0.3},
    )
    controller.on_epoch_start(context())
    mask = network[0].weight_quantizer.mask.clone()
    controller.on_epoch_start(context())
    assert torch.equal(network[0].weight_quantizer.mask, mask)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_levels": 1}, "num_levels: 1 given, 2 to 31 allowed for power_of_two levels"),
        ({"num_levels": 300, "levels": "uniform"}, "num_levels: 300 given, 2 to 255 allowed"),
        ({"fraction": {"kind": "constant", "value": 1.5}}, r"fraction: values \[1.5\] given"),
        (
            {"fraction": {"kind": "linear", "end": 3, "initial": 1.0, "final": 0.0}},
            "rising ones allowed",
        ),
        (
            {"fraction": {"kind": "linear", "start": 5, "end": 3, "initial": 0, "final": 1}},
            "end: 3 given, more than start",
        ),
    ],
)
def test_impossible_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        InqConfig.model_validate({"num_levels": 3, "fraction": AT_ONCE, **settings})


def test_weights_only(rules) -> None:
    with pytest.raises((UsageError, ValidationError), match="'inq' given for an input, but it"):
        rules(("*", "input", {"kind": "inq", "num_levels": 3, "fraction": AT_ONCE}))
