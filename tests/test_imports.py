"""What a command line imports: torch only when it computes, other heavy packages only when used.

Importing torch takes a second, torch._dynamo another. All command lines run in one process, one
after the other; each is held to the packages that it brings in.
"""

import json
import subprocess
import sys
from dataclasses import asdict, dataclass
from typing import Any

import pytest

from experiments.commands.table import COMMANDS
from tests.lab import TOY_RUN, make_lab

_SCRIPT = """
import contextlib, importlib, io, json, sys
heavy, steps = json.load(sys.stdin)
results = {}
def loaded():
    return {name for name in heavy if name in sys.modules}
for name, step in steps.items():
    before, code, said = loaded(), 0, io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        if step["module"]:
            importlib.import_module(step["module"])
        else:
            import main
            code = main.main(step["arguments"])
    results[name] = {"code": code, "said": said.getvalue(), "new": sorted(loaded() - before)}
print(json.dumps(results))
"""

COMPILERS = ("torch._dynamo", "torch._inductor", "sympy")
DATABASES = ("chdb", "clickhouse_driver", "pyarrow")
HEAVY = (
    *COMPILERS,
    *DATABASES,
    "torch",
    "onnx",
    "onnxruntime",
    "scipy",
    "torchvision",
    "tensorboard",
    "PIL",
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A command line, or a module to import. allowed: the heavy packages that it may bring in."""

    arguments: tuple[str, ...] = ()
    module: str = ""
    code: int = 0
    said: str = ""
    allowed: tuple[str, ...] = ()


def wrong(*arguments: str, said: str, allowed: tuple[str, ...] = ()) -> Step:
    return Step(arguments=arguments, code=2, said=said, allowed=allowed)


QUANTIZED = (*TOY_RUN, "--config=quantized")
STEPS = {
    "help": Step(arguments=("--help",), said="usage: "),
    **{f"{name} --help": Step(arguments=(name, "--help"), said="usage: ") for name in COMMANDS},
    "list": Step(arguments=("list", "--problem=Toy"), said="launcher"),
    "clean": Step(arguments=("clean",), said="may go"),
    "command": wrong("trian", *TOY_RUN, said="no command named 'trian'"),
    "option": wrong("test", "--exp_idd=3", said="did you mean 'exp_id'"),
    "no value": wrong("--problem", said="--problem: needs a value"),
    "no number": wrong("resume", "--problem=Toy", "--exp_id=x", said="expected a whole number"),
    "too small": wrong("report", "--problem=Toy", "--exp_id=0", "--samples=0", said="at least 1"),
    "no effect": wrong("verify", "--images=x", said="not allowed without --torchvision"),
    "nowhere": wrong("report", "--problem=Toy", "--exp_id=0", "--html=/", said="--html=/: a file"),
    "launcher": wrong(*TOY_RUN, "--dist=mpi", said="--dist=mpi"),
    "problem": wrong("--problem=Tyo", "--topology=Tiny", said="did you mean 'Toy'"),
    "problem of a run": wrong("verify", "--problem=Tyo", "--exp_id=0", said="did you mean 'Toy'"),
    "topology": wrong("--problem=Toy", "--topology=Tinny", said="did you mean 'Tiny'"),
    "config": wrong(*TOY_RUN, "--config=quantised", said="did you mean 'quantized'"),
    "section": wrong(*TOY_RUN, "--trainig.accumulate=2", said="did you mean 'training'"),
    "key": wrong(*TOY_RUN, "--experiment.epochss=3", said="did you mean 'epochs'"),
    "key beside rules": wrong(*QUANTIZED, "--training.losss=x", said="did you mean 'loss'"),
    "value": wrong(*TOY_RUN, "--checkpoint.keep_last=0", said="greater than or equal to 1"),
    "YAML": wrong(*TOY_RUN, "--experiment.epochs=[1", said="not valid YAML"),
    "key of a rule": wrong(
        *QUANTIZED,
        "--quantize.rules.0.algorithm.num_bitz=3",
        said="did you mean 'num_bits'",
        allowed=("torch",),
    ),
    **{
        f"import {name}": Step(
            module=f"experiments.commands.{command.module}", allowed=("torch", "PIL")
        )
        for name, command in COMMANDS.items()
    },
    "a run": Step(
        arguments=(*TOY_RUN, "--experiment.max_steps=1"),
        said="test accuracy",
        allowed=("torch", "tensorboard", "PIL"),
    ),
    "a quantized run": Step(
        arguments=(*QUANTIZED, "--experiment.max_steps=1", "--training.optimizer.class=Adam"),
        said="test accuracy",
        allowed=("torch", "tensorboard", "PIL"),
    ),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Take all steps, in a copy of the checkout."""
    lab = make_lab(tmp_path_factory.mktemp("imports") / "lab")
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT],
        cwd=lab.home,
        input=json.dumps([HEAVY, {name: asdict(step) for name, step in STEPS.items()}]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("name", STEPS)
def test_only_what_is_needed_is_imported(results: dict[str, Any], name: str) -> None:
    step, found = STEPS[name], results[name]
    assert found["code"] == step.code
    assert step.said in found["said"]
    assert set(found["new"]) <= set(step.allowed)


def test_torch_is_seen_when_it_comes(results: dict[str, Any]) -> None:
    assert results["key of a rule"]["new"] == ["torch"]
    assert "tensorboard" in results["a run"]["new"]
