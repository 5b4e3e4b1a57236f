import copy
import itertools
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import (
    AdaRoundSettings,
    adaround,
    calibrate,
    float_copy,
)
from quantlab.errors import DivergedError, UsageError

W3: dict[str, Any] = {"kind": "ste", "num_bits": 3}
QUICK = AdaRoundSettings(num_steps=300)
LAYERS = ["0", "3", "6", "8"]  # of the trained network


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def state(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in network.state_dict().items()}


@pytest.mark.parametrize("has_relu", [False, True])
def test_close_to_the_best_of_all_roundings(rules, has_relu: bool) -> None:
    """All 2^8 ways to round the weights of one channel, tried one by one."""
    shares = []
    for seed in (1, 2, 3):
        generator = seeded(seed)
        layer = nn.Linear(8, 1)
        with torch.no_grad():
            layer.weight.copy_(torch.randn(1, 8, generator=generator))
            layer.bias.fill_(0.3)
        network = nn.Sequential(layer, nn.ReLU()) if has_relu else nn.Sequential(layer)
        x = torch.randn(256, 8, generator=generator) @ torch.randn(8, 8, generator=generator)
        quantize(network, rules(("*", "weight", W3)))
        calibrate(network, [x])
        weight = layer.weight.detach().double().numpy()[0]
        scale = layer.weight_quantizer.scale.item()

        def error(w: Any, x: Tensor = x, weight: Any = weight) -> float:
            outputs = [x.double().numpy() @ v + np.float32(0.3) for v in (w, weight)]
            found, wanted = [np.maximum(y, 0) if has_relu else y for y in outputs]
            return float(np.mean((found - wanted) ** 2))

        lower = np.floor(weight / scale)
        errors = sorted(
            error(scale * np.clip(lower + up, -3, 3)) for up in itertools.product((0, 1), repeat=8)
        )
        nearest = error(scale * np.clip(np.floor(weight / scale + 0.5), -3, 3))
        (row,) = adaround(network, [x], generator=generator, settings=QUICK)
        found = error(layer.weight.detach().double().numpy()[0])
        np.testing.assert_allclose([row.nearest_error, row.error], [nearest, found], rtol=1e-4)
        assert found <= nearest
        assert found <= errors[2] * (1 + 1e-6)  # one of the best three
        shares.append(found / nearest)
    assert min(shares) < 0.5


def test_every_layer_of_a_trained_network_gains(trained, quantized) -> None:
    network = quantized(weights=3, inputs=8)
    calibrate(network, trained.batches)
    nearest, reference = copy.deepcopy(network), float_copy(network)
    before = trained.accuracy(network)
    rows = adaround(network, trained.batches, generator=seeded(), settings=QUICK)
    assert [row.name for row in rows] == LAYERS
    x_float = x_quantized = torch.cat(trained.batches)
    with torch.no_grad():
        for index, layer in enumerate(network):
            y = reference[index](x_float)
            if str(index) in LAYERS:
                # The same inputs, rounded to nearest and as learned.
                row = rows[LAYERS.index(str(index))]
                outputs = {
                    name: net[index](x_quantized).double()
                    for name, net in (("nearest", nearest), ("learned", network))
                }
                is_rectified = index + 1 < len(network) and isinstance(network[index + 1], nn.ReLU)
                errors = {
                    name: (out.relu() - y.relu() if is_rectified else out - y).square().mean()
                    for name, out in outputs.items()
                }
                np.testing.assert_allclose(row.nearest_error, errors["nearest"], rtol=1e-4)
                np.testing.assert_allclose(row.error, errors["learned"], rtol=1e-4)
                assert row.error < row.nearest_error
                codes = layer.weight_quantizer.codes(layer.weight)
                were = nearest[index].weight_quantizer.codes(nearest[index].weight)
                assert row.num_changed == (codes != were).sum()
                assert row.num_weights == codes.numel()
            x_float, x_quantized = y, layer(x_quantized)
    assert trained.accuracy(network) > before


@pytest.mark.parametrize("settings", [{}, {"granularity": "per_group:3"}, {"weight_range": "max"}])
def test_weights_are_on_their_grid_and_nothing_else_changes(
    network, batches, rules, settings: dict[str, Any]
) -> None:
    config = {**W3, **settings}
    quantize(
        network,
        rules(("!last", "weight", config), ("last", "weight", W3), ("*", "input", {**W3})),
    )
    calibrate(network, batches)
    before, original = state(network), float_copy(network)
    adaround(network, batches, generator=seeded(), settings=AdaRoundSettings(num_steps=50))
    for name, value in state(network).items():
        is_weight = name.endswith((".weight", "weight_quantizer.observing"))
        assert is_weight or torch.equal(value, before[name]), name
    for index in (0, 2, 4):
        q, weight = network[index].weight_quantizer, network[index].weight.detach()
        assert torch.equal(q(weight), weight)
        assert torch.equal(q.dequantize(q.codes(weight)), weight)
        steps = q.split(original[index].weight.detach()) / q.scale
        codes = q.split(q.codes(weight))
        low = steps.floor().clamp(q.quant_min, q.quant_max)
        high = (steps.floor() + 1).clamp(q.quant_min, q.quant_max)
        assert bool(((codes == low) | (codes == high)).all())
        assert not q.is_observing
        network.train()(batches[0][0])
        assert torch.equal(q.scale, before[f"{index}.weight_quantizer.scale"])


def test_same_generator_same_bytes(quantized, trained) -> None:
    found = []
    for seed in (0, 0, 1):
        network = quantized(weights=3)
        calibrate(network, trained.batches)
        rows = adaround(
            network,
            trained.batches,
            generator=seeded(seed),
            settings=AdaRoundSettings(num_steps=20),
            select="3 | last",
        )
        assert [row.name for row in rows] == ["3", "8"]
        found.append(torch.cat([network[3].weight.flatten(), network[8].weight.flatten()]))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])


def test_nearest_rounding_stays_where_nothing_better_is_learned(network, batches, rules) -> None:
    quantize(network, rules(("*", "weight", W3)))
    calibrate(network, batches)
    codes = network[0].weight_quantizer.codes(network[0].weight)
    wild = AdaRoundSettings(num_steps=2, lr=100.0)
    row, *_ = adaround(network, batches, generator=seeded(), settings=wild)
    assert row.num_changed == 0
    assert row.error == row.nearest_error
    assert torch.equal(network[0].weight_quantizer.codes(network[0].weight), codes)


def test_weights_on_the_grid_stay(network, batches, rules) -> None:
    quantize(network, rules(("*", "weight", W3)))
    calibrate(network, batches)
    with torch.no_grad():
        for index in (0, 2, 4):
            q = network[index].weight_quantizer
            network[index].weight.copy_(q.dequantize(q.codes(network[index].weight)))
    before = state(network)
    rows = adaround(network, batches, generator=seeded(), settings=AdaRoundSettings(num_steps=50))
    assert [row.error for row in rows] == [0.0, 0.0, 0.0]
    assert torch.equal(network[0].weight, before["0.weight"])


def test_a_one_dimensional_convolution_called_twice(rules) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv1d(8, 8, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.conv(self.conv(x).relu()).relu()
            return y

    torch.manual_seed(0)
    network = Twice()
    quantize(network, rules(("*", "weight", W3)))
    x = torch.randn(64, 8, 10).cumsum(2)
    calibrate(network, [x])
    original, nearest = float_copy(network), copy.deepcopy(network)
    (row,) = adaround(network, [x[:32], x[32:]], generator=seeded(), settings=QUICK)
    assert row.error < row.nearest_error
    # Both calls count: their inputs are those of the float network and of nearest rounding.
    with torch.no_grad():
        found = [original.conv(x), original(x)]
        given = [network.conv(x), network.conv(nearest.conv(x).relu())]
        error = torch.stack([a.relu() - b.relu() for a, b in zip(found, given, strict=True)])
    np.testing.assert_allclose(row.error, error.double().square().mean(), rtol=1e-4)


def test_what_cannot_be_rounded(network, batches, rules, new_network) -> None:
    with pytest.raises(UsageError, match="no weight has a quantizer"):
        adaround(network, batches, generator=seeded())
    quantize(network, rules(("*", "weight", W3)))
    with pytest.raises(UsageError, match=r"^0\.weight_quantizer: in the float stage; calibrate"):
        adaround(network, batches, generator=seeded())
    calibrate(network, batches)
    with pytest.raises(UsageError, match="batches: 0 given"):
        adaround(network, [], generator=seeded())
    with pytest.raises(UsageError, match="'conv' matches no layer"):
        adaround(network, batches, generator=seeded(), select="conv")
    with pytest.raises(DivergedError, match=r"^0: outputs that are not finite"):
        adaround(network, [batches[0][0] * torch.nan], generator=seeded())
    shapes = [torch.randn(2, 2, 6, 6), torch.randn(2, 2, 6, 8)]
    with pytest.raises(UsageError, match=r"^0: samples of the shapes \(2, 6, 6\) and \(2, 6, 8\)"):
        adaround(network[:3], shapes, generator=seeded())
    for config in ({"kind": "dorefa", "num_bits": 3}, {"kind": "twn"}):
        other = new_network()
        quantize(other, rules(("*", "weight", config)))
        calibrate(other, batches)
        with pytest.raises(UsageError, match=r"^0\.weight_quantizer: a \w+ given, whose levels"):
            adaround(other, batches, generator=seeded())


def test_reference_and_progress(network, batches, rules, new_network) -> None:
    quantize(network, rules(("*", "weight", W3)))
    calibrate(network, batches)
    told: list[tuple[str, int, int | None]] = []
    plain = new_network()
    settings = AdaRoundSettings(num_steps=100)
    rows = adaround(
        network,
        batches,
        generator=seeded(),
        settings=settings,
        reference=plain,
        progress=lambda *args: told.append(args),
    )
    assert told == [(name, 100, 100) for name in ("0", "2", "4")]
    assert str(rows[0]).startswith("0: error ")
    assert all(
        torch.equal(p, q)
        for p, q in zip(plain.parameters(), new_network().parameters(), strict=True)
    )
