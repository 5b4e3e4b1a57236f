import copy
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
    correct_biases,
    float_copy,
)
from quantlab.errors import DivergedError, UsageError

W2: dict[str, Any] = {"kind": "ste", "num_bits": 2}
LAYERS = ["0", "3", "6", "8"]  # of the trained network


def channel_means(y: Tensor) -> Any:
    """In float64, by NumPy; [N, C, ...] or [N, C]."""
    outputs = y.detach().double().numpy()
    return outputs.mean(tuple(axis for axis in range(outputs.ndim) if axis != 1))


def means(network: nn.Sequential, x: Tensor) -> dict[str, Any]:
    """The means of the outputs of each layer with weights."""
    found = {}
    with torch.no_grad():
        for name, layer in network.named_children():
            x = layer(x)
            if name in LAYERS:
                found[name] = channel_means(x)
    return found


def test_all_means_are_those_of_the_float_network(trained, quantized) -> None:
    network = quantized(weights=2, inputs=4)
    calibrate(network, trained.batches)
    x = torch.cat(trained.batches)
    wanted, before = means(trained.network, x), means(network, x)
    accuracy = trained.accuracy(network)
    # Batches of unequal size count by their samples.
    rows = correct_biases(network, [x[:10], x[10:200], x[200:]])
    after = means(network, x)
    assert [row.name for row in rows] == LAYERS
    for name in LAYERS:
        np.testing.assert_allclose(after[name], wanted[name], atol=2e-5)
        assert np.abs(before[name] - wanted[name]).max() > 1e-2
    np.testing.assert_allclose(
        rows[0].largest_shift, np.abs(before["0"] - wanted["0"]).max(), rtol=1e-4
    )
    deviation = trained.network[0](x).detach().double().numpy().std()
    np.testing.assert_allclose(rows[0].deviation, deviation, rtol=1e-6)
    assert trained.accuracy(network) > accuracy


def test_first_shift_is_that_of_the_weights_times_the_mean_input(trained, rules) -> None:
    """E[W~ x] - E[W x] = (W~ - W) E[x], in closed form for a Linear."""
    layer = copy.deepcopy(trained.network[6])
    x = trained.network[:6](torch.cat(trained.batches)).detach()
    network = nn.Sequential(copy.deepcopy(layer))
    quantize(network, rules(("*", "weight", W2)))
    calibrate(network, [x])
    error = network[0].weight_quantizer(network[0].weight) - layer.weight
    shift = error.detach().double().numpy() @ x.double().numpy().mean(0)
    correct_biases(network, [x])
    found = (layer.bias - network[0].bias).detach().numpy()
    np.testing.assert_allclose(found, shift, rtol=1e-3, atol=1e-5)


def test_a_linear_layer_over_sequences(rules) -> None:
    """Channels come last; all positions count."""
    torch.manual_seed(0)
    x = torch.randn(16, 5, 6) + 1
    network = nn.Sequential(nn.Linear(6, 4))
    with torch.no_grad():
        wanted = network(x).double().numpy().mean((0, 1))
    quantize(network, rules(("*", "weight", W2)))
    calibrate(network, [x])
    correct_biases(network, [x])
    with torch.no_grad():
        found = network(x).double().numpy().mean((0, 1))
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_only_biases_change_and_a_second_time_changes_nothing(network, batches, rules) -> None:
    quantize(network, rules(("*", "weight", W2), ("*", "input", W2), ("*", "output", W2)))
    calibrate(network, batches)
    reference = float_copy(network)
    before = copy.deepcopy(network.state_dict())
    network.train()
    correct_biases(network, batches, reference=reference)
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) != (name in ("0.bias", "2.bias", "4.bias")), name
    assert network.training
    assert all(p.requires_grad and p.grad is None for p in network.parameters())
    again = correct_biases(network, batches, reference=reference)
    assert all(row.largest_shift < 1e-5 for row in again)


def test_a_layer_without_a_bias_gets_one_and_the_batch_norm_stays(batches, rules) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    )
    x = torch.cat([inputs for inputs, _ in batches])
    network(x)
    network.eval()
    original = copy.deepcopy(network)
    quantize(network, rules(("*", "weight", W2)))
    calibrate(network, batches)
    with torch.no_grad():
        shift = channel_means(network[0](x)) - channel_means(original[0](x))
    rows = correct_biases(network, batches)
    assert [row.has_new_bias for row in rows] == [True, False]
    np.testing.assert_allclose(network[0].bias.detach().numpy(), -shift, atol=1e-6)
    for name, value in original[1].state_dict().items():
        assert torch.equal(value, network[1].state_dict()[name])
    # What the batch norm makes of it has the mean of the float network, too.
    with torch.no_grad():
        np.testing.assert_allclose(
            channel_means(network[:2](x)), channel_means(original[:2](x)), atol=1e-5
        )
    assert str(rows[0]).startswith("0: means shifted by at most ")
    assert "by a bias that it did not have" in str(rows[0])
    assert "bias" not in str(rows[1])


def test_after_adaround_the_float_network_has_to_be_given(network, batches, rules) -> None:
    quantize(network, rules(("*", "weight", W2)))
    calibrate(network, batches)
    reference = float_copy(network)
    settings = AdaRoundSettings(num_steps=5)
    adaround(network, batches, generator=torch.Generator(), settings=settings)
    with pytest.raises(UsageError, match=r"^0\.weight_quantizer: its weight is on the grid"):
        correct_biases(network, batches)
    rows = correct_biases(network, batches, reference=reference)
    assert rows[0].largest_shift > 0


def test_what_cannot_be_corrected(network, batches, rules) -> None:
    with pytest.raises(UsageError, match="no weight has a quantizer"):
        correct_biases(network, batches)
    quantize(network, rules(("*", "weight", W2)))
    with pytest.raises(UsageError, match=r"^0\.weight_quantizer: in the float stage; calibrate"):
        correct_biases(network, batches)
    calibrate(network, batches)
    with pytest.raises(UsageError, match="batches: 0 given"):
        correct_biases(network, [])
    before = network[0].bias.clone()
    with pytest.raises(DivergedError, match=r"^0: outputs that are not finite"):
        correct_biases(network, [torch.full((1, 2, 6, 6), torch.nan)])
    assert torch.equal(network[0].bias, before)


def test_progress(network, batches, rules) -> None:
    quantize(network, rules(("!first", "weight", W2)))
    calibrate(network, batches)
    told: list[tuple[str, int, int | None]] = []
    correct_biases(network, batches, progress=lambda *args: told.append(args))
    assert told == [("correct_biases", 1, 2), ("correct_biases", 2, 2)]
