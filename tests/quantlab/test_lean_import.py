"""Importing the library stays cheap, and drags in none of the lab's tools."""

import pkgutil
import subprocess
import sys

import pytest

import quantlab

HEAVY = {"horovod", "chdb", "tensorboard", "matplotlib", "torch"}
# Imported where they are used; ONNX's back end is where onnx is.
ON_USE = {"torch._dynamo", "torch._inductor", "sympy", "scipy", "torchvision", "onnx", "PIL"}
ONNX = "quantlab.deploy.onnx"
LAB_TOOLS = {"horovod", "chdb", "tensorboard", "matplotlib", "rich", "experiments", "problems"}
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
    assert not imported[1] & LAB_TOOLS


def test_what_few_functions_use_is_not_imported_before(imported: list[set[str]]) -> None:
    assert not imported[0] & ON_USE
