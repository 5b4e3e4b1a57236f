"""Configs made in Python: the first complaint is one line of ours, and nothing is converted."""

from typing import Any

import pytest
from pydantic import ValidationError

from quantlab.algorithms import ALGORITHMS, QuantizeConfig, QuantRule
from quantlab.compression import Recipe
from quantlab.errors import UsageError
from quantlab.monitor.table import STATISTICS
from quantlab.schedule import Constant
from quantlab.settings import Settings
from quantlab.sparse.config import PruneConfig

LSQ = {"kind": "lsq", "num_bits": 8}
RULE = {"select": "*", "on": "weight", "algorithm": LSQ}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algorithm": {**LSQ, "num_bits": "8"}}, "algorithm.num_bits: input should be a valid in"),
        ({"algorithm": {**LSQ, "num_bits": 8.0}}, "algorithm.num_bits: input should be a valid in"),
        ({"algorithm": {**LSQ, "num_bits": True}}, "algorithm.num_bits: input should be a valid i"),
        ({"algorithm": {**LSQ, "num_bit": 8}}, "algorithm.num_bit: unknown key; did you mean 'num"),
        ({"algorithm": {"kind": "lsqq"}}, "algorithm.kind: 'lsqq' given, ste, lsq, .*mean 'lsq'?"),
        ({"algorithm": {"num_bits": 8}}, "algorithm.kind: missing"),
        ({"algorithm": "lsq"}, "algorithm: input should be a valid dictionary .*got 'lsq'"),
        ({"on": "weigth"}, "on: input should be 'weight', 'input' or 'output' .got 'weigth'"),
        ({"select": 3}, "select: input should be a valid string .got 3"),
        ({"select": "a && b"}, "select: 'a && b'"),
        ({"selct": "*"}, "selct: unknown key; did you mean 'select'?"),
    ],
)
def test_rules(change: dict[str, Any], message: str) -> None:
    for made, where in (
        (lambda given: QuantRule(**given), ""),
        (lambda given: QuantizeConfig(rules=[given]), r"rules\.0"),
    ):
        with pytest.raises(UsageError, match=f"^{where}.?.?{message}") as caught:
            made({**RULE, **change})
        assert "\n" not in str(caught.value)
        assert "pydantic" not in str(caught.value)


def test_pydantics_own_call_raises_its_own_error() -> None:
    with pytest.raises(ValidationError):
        QuantizeConfig.model_validate({"rules": 3})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: QuantizeConfig(rules=3), "rules: input should be a valid list .got 3"),
        (lambda: Recipe(encodings="tiny"), "encodings: input should be a valid list .got 'tiny'"),
        (lambda: QuantizeConfig(rule=[]), "rule: unknown key; did you mean 'rules'?"),
        (lambda: ALGORITHMS["ste"](num_bits="4"), "num_bits: input should be a valid integer"),
        (lambda: Constant(value="1"), "value: input should be a valid number"),
        (lambda: PruneConfig(sparsity="0.5"), "sparsity: input should be a valid number"),
        (lambda: STATISTICS["weight_norm"](period="1"), "period: input should be a valid integer"),
    ],
)
def test_every_config(make: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        make()


def test_all_configs_of_the_library_are_strict() -> None:
    models = [QuantRule, QuantizeConfig, PruneConfig, *ALGORITHMS.values(), *STATISTICS.values()]
    assert all(issubclass(model, Settings) for model in models)
    assert all(model.model_config["strict"] for model in models)
