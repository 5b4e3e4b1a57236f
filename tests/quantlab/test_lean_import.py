"""Importing the library stays cheap, and drags in none of the lab's tools."""

import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import quantlab

HEAVY = {"horovod", "chdb", "tensorboard", "matplotlib", "torch"}
# Imported where they are used; ONNX's back end is where onnx is.
ON_USE = {"torch._dynamo", "torch._inductor", "sympy", "scipy", "torchvision", "onnx", "PIL"}
ONNX = "quantlab.deploy.onnx"
LAB_TOOLS = {"horovod", "tensorboard", "matplotlib", "rich", "experiments", "problems"}
DATABASES = {"chdb", "clickhouse_driver", "pyarrow"}
# Its purpose is to import torchvision, which is free to import what it likes.
NOT_LEAN = {"quantlab.vision"}
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(quantlab.__path__, "quantlab.")
    if module.name not in NOT_LEAN
)


def imported_by(*steps: list[str]) -> list[set[str]]:
    """Return the modules that a fresh interpreter has after importing those of each step."""
    script = (
        "import sys, importlib\n"
        "for step in sys.argv[1:]:\n"
        "    for name in step.split(): importlib.import_module(name)\n"
        "    print(*sys.modules)"
    )
    command = [sys.executable, "-c", script, *map(" ".join, steps)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [set(line.split()) for line in done.stdout.splitlines()]


def test_the_package_alone_is_light() -> None:
    (found,) = imported_by(["quantlab"])
    assert not found & HEAVY


@pytest.fixture(scope="module")
def imported() -> list[set[str]]:
    """Two sets: after importing all modules but ONNX's back end, and after all."""
    return imported_by([name for name in MODULES if not name.startswith(ONNX)], MODULES)


def test_every_module_does_without_the_labs_tools(imported: list[set[str]]) -> None:
    assert {"quantlab.algorithms.ste", "quantlab.graphs.select", "quantlab.errors"} < set(MODULES)
    assert set(MODULES) <= imported[1]
    assert not imported[1] & (LAB_TOOLS | DATABASES)


def test_what_few_functions_use_is_not_imported_before(imported: list[set[str]]) -> None:
    assert not imported[0] & ON_USE


WITHOUT_KERNELS = """
import sys
sys.modules["quantlab._backend"] = None
import torch
from torch import nn
import quantlab
rules = [{"select": "*", "on": "weight", "algorithm": {"kind": "lsq", "num_bits": 4}}]
network = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
quantlab.quantize(network, rules)
quantlab.calibrate(network, [torch.rand(3, 1, 2, 2)])
spec = quantlab.InputSpec(shape=(1, 2, 2), scale=(0.1,), zero_point=(0,))
print(quantlab.export_network(network, spec, sys.argv[1], to="onnx-exact").folder)
try:
    quantlab.export_network(network, spec, sys.argv[1], to="program")
except quantlab.errors.UsageError as error:
    print(error)
try:
    quantlab.sparsify
except quantlab.errors.UsageError as error:
    print(error)
"""


def test_what_needs_no_compiled_kernels_works_without(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WITHOUT_KERNELS, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    folder, *errors = done.stdout.splitlines()
    assert folder == str(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["exact.onnx"]
    assert len(errors) == 2
    for error in errors:
        assert error.startswith("quantlab._backend: the compiled kernels are missing (")
        assert error.endswith("`pip install .` in a checkout of QuantLab compiles them")
