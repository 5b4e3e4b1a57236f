"""The rows of the rate term: a short one is made, and the page says what was measured."""

import json
from statistics import mean
from typing import Any

import pytest
import torch

from benchmarks.rate_term import PLANS, SEEDS, Digits, Plan, measured
from problems.MNIST.LeNet.network import LeNet
from tests.docs.markdown import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results" / "rate_term.json"
PAGE = (CHECKOUT / "docs" / "quantization.md").read_text(encoding="utf-8")


def rows_of(plan: Plan) -> list[dict[str, Any]]:
    name = "generated" if plan.is_generated else "plain"
    return [
        row
        for row in json.loads(RESULTS.read_text())
        if (row["weights"], row["bits"], row["rate_weight"]) == (name, plan.bits, plan.weight)
    ]


@pytest.mark.long
@pytest.mark.parametrize("is_generated", [False, True])
def test_a_row(is_generated: bool) -> None:
    few = Digits(images=torch.randn(500, 1, 28, 28), classes=torch.randint(10, (500,)))
    plan = Plan(is_generated=is_generated, bits=4, weight=0.1)
    row = measured(LeNet(), plan, few, few, seed=0)
    assert row.figures["coded"] < row.figures["packed"]
    assert row.ratio == row.figures["packed"] / row.figures["coded"]


def test_the_page_has_all_rows() -> None:
    for plan in PLANS:
        rows = rows_of(plan)
        assert [row["seed"] for row in rows] == list(SEEDS)
        packed, coded, top1 = (
            mean(row[name] for row in rows) for name in ("packed", "coded", "top1")
        )
        kind = "generated" if plan.is_generated else "LSQ"
        cells = f"{plan.bits} | {plan.weight:g} | {packed:,.0f} | {coded:,.0f} | {top1:.2f}"
        assert f"| {kind} | {cells} |" in PAGE
