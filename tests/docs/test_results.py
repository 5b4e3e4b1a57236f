"""The figures in README.md are those that the benchmarks wrote."""

import json
from collections import defaultdict
from statistics import mean
from typing import Any

import pytest

from tests.docs.markdown import CHECKOUT

RESULTS = CHECKOUT / "benchmarks" / "results"
README = (CHECKOUT / "README.md").read_text(encoding="utf-8")


def results(name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((RESULTS / f"{name}.json").read_text())
    return rows


@pytest.mark.parametrize(
    ("name", "side", "text"),
    [
        ("trainer_overhead", "QuantLab", "| {} (Lightning"),
        ("trainer_overhead", "Lightning", "options off: {}) |"),
        ("gpu_training", "QuantLab", "bfloat16, compiled | {} (Lightning 2.6.6: "),
        ("gpu_training", "Lightning", "(Lightning 2.6.6: {}) | an NVIDIA H200 |"),
        ("quantized_step_cuda", "QuantLab lsq", "| the same in bfloat16, compiled | {} |"),
    ],
)
def test_ratios(name: str, side: str, text: str) -> None:
    (ratio,) = [row["ratio"] for row in results(name) if row["side"].startswith(side)]
    assert text.format(ratio) in README


def test_two_gpus() -> None:
    rows = [row for row in results("gpu_scaling") if row["gpus"] == 2]
    (two,) = [row["ratio"] for row in rows if row.get("launcher", "horovodrun") == "horovodrun"]
    assert f"| {two} | two NVIDIA H200 |" in README


def test_the_cost_of_quantization() -> None:
    rows = results("quantized_step_cpu")
    ratios = {row["side"]: row["ratio"] for row in rows if row["network"] == "ResNet-18"}
    assert f"| {ratios['QuantLab lsq']} (Brevitas 0.13.4: {ratios['Brevitas']}) |" in README


def test_the_verified_networks() -> None:
    """The table has all rows and no others."""
    rows = results("verification")
    for row in rows:
        tops = f"{row['integer_top1']:.2f}, {row['fake_quantized_top1']:.2f} %"
        cells = (f"{row['values']:,}", str(row["mismatches"]), tops, f"{row['same_class']:.2f} %")
        assert f"| {row['network']} | {' | '.join(cells)} |" in README
    assert README.count(" | 0 | ") == len(rows)


def test_the_fast_engine() -> None:
    (ratio,) = [
        row["ratio"]
        for row in results("integer_engine")
        if row["side"].startswith("QuantLab") and row["threads"] == row["images"] == 1
    ]
    assert f"onnxruntime's int8 to it | {ratio} | 2 cores of an AMD EPYC, AVX-512 |" in README


def test_the_accuracy_of_algorithms() -> None:
    """The table has all rows and no others; each config says the same mean."""
    tops: dict[tuple[str, float], list[float]] = defaultdict(list)
    for row in results("algorithms"):
        tops[row["config"], row["start_top1"]].append(row["top1"])
    for (config, start), found in tops.items():
        float_top1 = mean(tops["finetune", start])
        below = "" if config == "finetune" else f"{float_top1 - mean(found):.2f}"
        (cells,) = [
            cells for cells in table_lines(f"| `{config}` | ") if cells[2] == f"{start:.2f}"
        ]
        assert cells[3:] == [", ".join(f"{top1:.2f}" for top1 in found), below]
        file = CHECKOUT / "problems" / "CIFAR10" / "ResNet" / "configs" / f"{config}.yaml"
        assert f"{mean(found):.2f} % top-1" in file.read_text()
    assert README.count(" | 90.4") == len(tops)


def table_lines(start: str) -> list[list[str]]:
    """The cells of README's lines that start so."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in README.splitlines()
        if line.startswith(start)
    ]


@pytest.mark.parametrize(("suffix", "isa"), [("", "AVX-512"), ("_avx2", "AVX2")])
def test_sparse_layers(suffix: str, isa: str) -> None:
    where = f"2 cores of an AMD EPYC, {isa} |"
    rows = {
        row["side"]: row["ratio"]
        for row in results(f"sparse_modules{suffix}")
        if row["layer"] == "conv 256@8x8" and row["sparsity"] == 0.95
    }
    assert f"| {rows['sparse float32']} (int8: {rows['sparse int8']}) | {where}" in README
    (step,) = [
        row["ratio"]
        for row in results(f"sparse_finetune{suffix}")
        if (row["network"], row["side"]) == ("ResNet-18", "int8 blocks")
    ]
    assert f"| {step} | {where}" in README


def test_the_memory_of_sparse_layers() -> None:
    (memory,) = [
        row["ratio"]
        for row in results("sparse_memory")
        if (row["network"], row["side"]) == ("ResNet-18", "int8 blocks")
    ]
    assert f"dense float32's to it | {memory} |" in README


@pytest.mark.parametrize("name", ["sparse_modules", "sparse_modules_avx2", "sparse_modules_xeon"])
def test_the_break_even_table(name: str) -> None:
    page = (CHECKOUT / "docs" / "sparse.md").read_text(encoding="utf-8")
    sparse = [f"sparse {arithmetic}" for arithmetic in ("float32", "float16", "int8")]
    sides = ["dense bfloat16", *sparse, *(f"{side} within blocks" for side in sparse)]
    found: dict[tuple[str, float], dict[str, float]] = defaultdict(dict)
    for row in results(name):
        found[row["layer"], row["sparsity"]][row["side"]] = row["ratio"]
    for (layer, sparsity), ratios in found.items():
        cells = " | ".join(f"{ratios[side]:.2f}" if side in ratios else "" for side in sides)
        assert f"| {layer} | {sparsity} | {cells} |" in page


def test_the_table_of_sparse_steps() -> None:
    page = (CHECKOUT / "docs" / "sparse.md").read_text(encoding="utf-8")
    times = {(row["network"], row["side"]): row for row in results("sparse_finetune")}
    for row in results("sparse_memory"):
        if row["side"] == row["peer"]:
            continue
        parts = (
            times[row["network"], row["side"]]["time_of_dense"],
            row["saved_of_dense"],
            row["peak_of_dense"],
            1 / row["ratio"],
        )
        cells = " | ".join(f"{part:.2f}" for part in parts)
        assert f"| {row['network']} | {row['side']} | {cells} |" in page


def test_the_table_of_onnx_on_processors() -> None:
    page = (CHECKOUT / "docs" / "integer.md").read_text(encoding="utf-8")
    shares: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    classes: dict[str, set[float]] = defaultdict(set)
    for row in results("onnx_processors"):
        if row["dialect"] == "exact":
            assert row["differ"] == 0
            continue
        share = f"{100 * row['differ'] / row['compared']:.2f}"
        if share not in shares[row["network"]][row["session"]]:
            shares[row["network"]][row["session"]].append(share)
        classes[row["network"]].add(row["ratio"])
    for network, by_session in shares.items():
        cells = " | ".join(", ".join(found) for found in by_session.values())
        (same,) = classes[network]
        assert f"| {network} | {cells} | {100 * same:.0f} |" in page


@pytest.mark.parametrize("name", sorted(p.stem for p in RESULTS.glob("*.json")))
def test_every_record_names_its_instruction_set(name: str) -> None:
    for row in results(name):
        assert row["machine"]["isa"]
        assert row["machine"]["isa"] == "avx2" or not name.endswith("_avx2")
