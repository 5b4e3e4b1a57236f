from collections import OrderedDict

import pytest
from torch import nn

from quantlab.algorithms.allocation.layer_rules import rule_for, select_names
from quantlab.errors import UsageError
from quantlab.graphs.select import select

NAMES = ["first", "last", "conv", "convs", "a*", "a?", "c[0]", "x|y", "(z)", "u&v"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_selects_its_layer_alone(name: str) -> None:
    network = nn.Sequential(OrderedDict({other: nn.Linear(1, 1) for other in [*NAMES, "ab", "c0"]}))
    assert list(select(select_names([name])).resolve(network)) == [name]


def test_several_names() -> None:
    inner = nn.Sequential(OrderedDict(first=nn.Linear(1, 1), fc=nn.Linear(1, 1)))
    network = nn.Sequential(OrderedDict(first=inner, last=nn.Linear(1, 1)))
    found = select(select_names(["first.fc", "last"])).resolve(network)
    assert list(found) == ["first.fc", "last"]


def test_the_network_itself() -> None:
    assert list(select(select_names([""])).resolve(nn.Linear(1, 1))) == [""]


def test_rule() -> None:
    rule = rule_for(["a", "b"], "weight", {"kind": "lsq", "granularity": "per_tensor"}, 5)
    assert rule.model_dump()["algorithm"]["num_bits"] == 5
    assert rule.select == "a | b"


@pytest.mark.parametrize(
    ("algorithm", "message"),
    [
        ({"kind": "ste", "num_bits": 4}, r"^algorithm\.num_bits: 4 given, but it is chosen$"),
        ({"kind": "ste", "signed": True}, r"signed: True has no effect on a weight$"),
        ({"kind": "ste", "bits": 3}, r"^algorithm\.bits: unknown key; did you mean 'num_bits'\?$"),
        ({"kind": "twn"}, r"^algorithm\.num_bits: unknown key; allowed: granularity, "),
        ({"kind": "ste", "granularity": "per_x"}, r"^algorithm\.granularity: granularity: 'per_x'"),
        ({"kind": "stee"}, r"^algorithm\.kind: 'stee' given, .*; did you mean 'ste'\?$"),
        ({}, r"^algorithm\.kind: None given, one of ste, "),
    ],
)
def test_impossible_settings_are_one_line(algorithm: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        rule_for(["a"], "weight", algorithm, 4)
    assert "\n" not in str(caught.value)
