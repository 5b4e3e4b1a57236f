import pytest
import torch
from pydantic import ValidationError
from torch import nn

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.layers import carries
from quantlab.errors import UsageError

STE = {"kind": "ste", "num_bits": 4}


def test_one_controller_a_rule_and_quantizers_where_asked(network, rules) -> None:
    controllers = quantize(
        network, rules(("*", "weight", STE), ("!first", "input", STE), ("last", "output", STE))
    )
    assert len(controllers) == 3
    found = {name: sorted(carries(layer)) for name, layer in network.named_children()}
    assert found == {
        "0": ["weight"],
        "1": [],
        "2": ["input", "weight"],
        "3": [],
        "4": ["input", "output", "weight"],
    }


def test_empty_rules_do_nothing(network) -> None:
    assert quantize(network, QuantizeConfig().rules) == []
    assert type(network[0]) is nn.Conv2d


def test_float_checkpoint_loads(network, new_network, rules) -> None:
    float_state = {name: value + 1 for name, value in new_network().state_dict().items()}
    quantize(network, rules(("*", "weight", STE), ("*", "input", STE)))
    found = network.load_state_dict(float_state, strict=False)
    assert not found.unexpected_keys
    assert all("_quantizer." in key for key in found.missing_keys)
    assert torch.equal(network.state_dict()["0.weight"], float_state["0.weight"])


def test_network_that_is_a_layer(rules) -> None:
    layer = nn.Linear(3, 2)
    quantize(layer, rules(("first", "weight", STE)))
    assert "weight_quantizer.scale" in layer.state_dict()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([("7", "weight", STE)], "quantize.rules.0.select: '7' matches no layer among 0, 2, 4"),
        (
            [("*", "weight", STE), ("first", "weight", STE)],
            "quantize.rules.1: weight of '0' given, which quantize.rules.0 quantizes",
        ),
        (
            [("*", "weight", {**STE, "granularity": "per_group:5"})],
            "quantize.rules.0.algorithm.granularity: 'per_group:5' given",
        ),
    ],
)
def test_impossible_rules_leave_the_network_alone(network, rules, given, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        quantize(network, rules(*given))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [type(m) for m in network] == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.Flatten, nn.Linear]


@pytest.mark.parametrize("form", ["config", "rules", "settings"])
def test_rules_in_every_form(network, form: str) -> None:
    settings = {"select": "*", "on": "weight", "algorithm": STE}
    config = QuantizeConfig(rules=[settings])
    given = {"config": config, "rules": tuple(config.rules), "settings": [settings]}
    assert len(quantize(network, given[form])) == 1
    assert list(carries(network[0])) == ["weight"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "rules: a NoneType given, a QuantizeConfig or a list of rules allowed"),
        ("*", "rules: a str given"),
        ({"rules": []}, "rules: a dict given"),
        ([3], "rules.0: input should be a valid dictionary"),
        ([{"select": "*"}], "rules.0.on: missing"),
    ],
)
def test_other_rules_are_refused(network, given, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        quantize(network, given)
    assert "\n" not in str(caught.value)
    assert type(network[0]) is nn.Conv2d


def test_what_is_no_network_is_refused(rules) -> None:
    with pytest.raises(UsageError, match=r"network: a dict given, a torch.nn.Module allowed"):
        quantize({}, rules(("*", "weight", STE)))  # type: ignore[arg-type]


def test_second_round_is_refused(network, rules) -> None:
    quantize(network, rules(("first", "weight", STE)))
    with pytest.raises(UsageError, match="which the network already quantizes"):
        quantize(network, rules(("*", "weight", STE)))


def test_class_with_its_own_forward_is_refused(rules) -> None:
    class Own(nn.Linear):
        pass

    with pytest.raises(UsageError, match=r"quantize.rules.0: fc: a Own given, Linear, Conv1d"):
        quantize(nn.ModuleDict({"fc": Own(2, 2)}), rules(("*", "weight", STE)))


@pytest.mark.parametrize(
    ("change", "where", "message"),
    [
        ({"select": "a && b"}, (), "'&' at character 4"),
        ({"on": "weigth"}, ("on",), "'weight', 'input' or 'output'"),
        ({"extra": 1}, ("extra",), "Extra inputs"),
        ({"algorithm": {"kind": "sta"}}, ("algorithm",), "expected tags: 'ste'"),
        ({"algorithm": {"num_bits": 4}}, ("algorithm",), "discriminator 'kind'"),
        ({"algorithm": {"kind": "ste"}}, ("algorithm", "ste", "num_bits"), "Field required"),
        (
            {"algorithm": {"kind": "ste", "num_bits": 33}},
            ("algorithm", "ste", "num_bits"),
            "less than or equal to 16",
        ),
        (
            {"on": "weight", "algorithm": {**STE, "observer": "minmax"}},
            (),
            "algorithm.observer: 'minmax' has no effect on a weight",
        ),
    ],
)
def test_errors_name_their_place(change, where, message: str) -> None:
    rule = {"select": "*", "on": "input", "algorithm": STE, **change}
    with pytest.raises(ValidationError) as caught:
        QuantizeConfig.model_validate({"rules": [rule]})
    (error,) = caught.value.errors()
    assert error["loc"] == ("rules", 0, *where)
    assert message in error["msg"]
    assert "\n" not in error["msg"]


def test_json_schema_lists_the_algorithms() -> None:
    schema = QuantizeConfig.model_json_schema()
    assert "SteConfig" in schema["$defs"]


@pytest.mark.parametrize("kind", ["ste", "lsq", "pact", "tqt", "twn", "binary"])
def test_a_transposed_convolution_has_a_scale_of_each_output(kind: str) -> None:
    """Its weight is `[inputs, outputs, ...]`."""
    settings = {"kind": kind} if kind in ("twn", "binary") else {"kind": kind, "num_bits": 4}
    network = nn.Sequential(
        nn.ConvTranspose2d(3, 5, 2), nn.ConvTranspose1d(5, 4, 2), nn.Linear(2, 6)
    )
    quantize(network, [{"select": "*", "on": "weight", "algorithm": settings}])
    shapes = [tuple(layer.weight_quantizer.scale.shape) for layer in network]
    assert shapes == [(1, 5, 1, 1), (1, 4, 1), (6, 1)]


def test_a_transposed_convolution_learns_its_scales(rules) -> None:
    network = nn.Sequential(nn.ConvTranspose2d(3, 4, 3, stride=2, groups=1))
    (controller,) = quantize(network, rules(("*", "weight", {**STE, "kind": "lsq"})))
    assert controller.learned
    quantizer = network[0].weight_quantizer
    quantizer.set_enabled(True)
    network(torch.randn(2, 3, 4, 4)).square().sum().backward()
    assert (quantizer.step_size.grad != 0).all()
    assert network[0].weight.grad is not None
