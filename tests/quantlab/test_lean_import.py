"""Importing the library stays cheap, and drags in none of the lab's tools."""

import pkgutil
import subprocess
import sys

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


def imported_by(*modules: str) -> set[str]:
    """Return the modules that a fresh interpreter has after importing `modules`."""
    script = (
        "import sys, importlib\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *modules], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_package_alone_is_light() -> None:
    assert not imported_by("quantlab") & HEAVY


def test_every_module_does_without_the_labs_tools() -> None:
    assert {"quantlab.algorithms.ste", "quantlab.graphs.select", "quantlab.errors"} < set(MODULES)
    assert not imported_by(*MODULES) & LAB_TOOLS


def test_what_few_functions_use_is_not_imported_before() -> None:
    modules = [name for name in MODULES if not name.startswith(ONNX)]
    assert not imported_by(*modules) & ON_USE
