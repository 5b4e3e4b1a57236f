import torch

from quantlab.algorithms import quantize

HALF = {"kind": "constant", "value": 0.25}


def test_draws_depend_on_the_step_and_the_layer_alone(new_network, batches, train, rules) -> None:
    masks = []
    for first in (0, 2):
        network = new_network()
        controllers = quantize(
            network, rules(("*", "weight", {"kind": "rpr", "num_levels": 3, "fraction": HALF}))
        )
        train(network, controllers, batches, epochs=1, first_step=first, num_steps=3 - first)
        masks.append([network[i].weight_quantizer.mask.clone() for i in (0, 2)])
    assert all(torch.equal(a, b) for a, b in zip(*masks, strict=True))
    assert not torch.equal(masks[0][0].flatten(), masks[0][1].flatten()[: masks[0][0].numel()])


def test_the_share_is_the_fraction(rules, train, batches, new_network) -> None:
    network = new_network()
    network[4] = torch.nn.Linear(64, 3)
    controllers = quantize(
        network, rules(("*", "weight", {"kind": "rpr", "num_levels": 3, "fraction": HALF}))
    )
    count = total = 0
    for step in range(60):
        train(network, controllers, batches * 15, epochs=1, first_step=step, num_steps=1)
        for layer in (network[0], network[2], network[4]):
            count += int(layer.weight_quantizer.mask.sum())
            total += layer.weight_quantizer.mask.numel()
    assert abs(count / total - 0.25) < 5 * (0.25 * 0.75 / total) ** 0.5


def test_float_weights_are_kept_and_all_are_quantized_in_evaluation(
    network, batches, train, rules
) -> None:
    controllers = quantize(
        network, rules(("*", "weight", {"kind": "rpr", "num_levels": 3, "fraction": HALF}))
    )
    train(network, controllers, batches, epochs=2)
    layer = network[2]
    assert layer.weight.unique().numel() > 0.7 * layer.weight.numel()
    quantizer = layer.weight_quantizer
    assert quantizer.eval()(layer.weight).unique().numel() == 3
    assert quantizer.train()(layer.weight).unique().numel() > 50
