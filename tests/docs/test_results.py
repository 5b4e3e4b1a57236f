"""The figures in README.md are those that the benchmarks wrote."""

import json

import pytest

from tests.docs.markdown import CHECKOUT

README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "side", "text"),
    [
        ("trainer_overhead", "QuantLab", "| {} (Lightning"),
        ("trainer_overhead", "Lightning", "options off: {}) |"),
        ("gpu_training", "QuantLab", "| {} | an NVIDIA H200 |"),
    ],
)
def test_ratios(name: str, side: str, text: str) -> None:
    rows = json.loads((CHECKOUT / "benchmarks" / "results" / f"{name}.json").read_text())
    (ratio,) = [row["ratio"] for row in rows if row["side"].startswith(side)]
    assert text.format(ratio) in README


def test_the_cost_of_quantization() -> None:
    rows = json.loads((CHECKOUT / "benchmarks" / "results" / "quantized_step_cpu.json").read_text())
    ratios = {row["side"]: row["ratio"] for row in rows if row["network"] == "ResNet-18"}
    assert f"| {ratios['QuantLab lsq']} (Brevitas 0.13.4: {ratios['Brevitas']}) |" in README
