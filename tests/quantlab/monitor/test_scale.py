import pytest

from quantlab.monitor.scale import ScaleConfig
from tests.quantlab.monitor.oracles import levels
from tests.quantlab.monitor.small import RULES, Rules, array, numbers, trained

LEARNED: Rules = [
    ("*", "weight", {"kind": "lsq", "num_bits": 3}),
    ("linear", "input", {"kind": "lsq", "num_bits": 3, "symmetric": False}),
]


@pytest.mark.parametrize("rules", [RULES, LEARNED])
def test_it_is_the_grid_after_the_step(rules: Rules) -> None:
    training = trained(ScaleConfig(period=1), rules=rules)
    training.network.linear.weight_quantizer(training.network.linear.weight)  # what follows, moves
    found = numbers(training.readings[-1])
    weight, inputs = (training.quantizer("linear", on) for on in ("weight", "input"))
    scales = array(weight.scale)
    expected = {
        "weight/mean": scales.mean(),
        "weight/min": scales.min(),
        "weight/max": scales.max(),
        "weight/low": levels(weight).min(),
        "weight/high": levels(weight).max(),
        "input/mean": float(inputs.scale.detach()),
        "input/low": levels(inputs).min(),
        "input/high": levels(inputs).max(),
    }
    if rules is LEARNED:
        expected["input/zero_point"] = float(inputs.zero_point)
    of_linear = {tag: value for tag, value in found.items() if "/linear/" in tag}
    assert of_linear == pytest.approx({f"scale/linear/{k}": v for k, v in expected.items()})
