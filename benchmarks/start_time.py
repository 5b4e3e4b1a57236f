"""How long the program takes to start: whole processes, to one that only imports torch.

Command lines run in a copy of the checkout, on synthetic digits and one thread. The processes take
turns, after two turns that fill the caches of the disk and of bytecode. The ratio is the process's
time / that of `import torch`; `at_most` is the ratio that it is held to.

    python -m benchmarks.start_time
"""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.harness import Row, interleaved, report
from tests.lab import make_lab

REPEATS = 9
PEER = "python -c 'import torch'"
LENET = ("--problem=MNIST", "--topology=LeNet")
ONE_STEP = ("--data.source=synthetic", "--experiment.max_steps=1", "--experiment.threads=1")
RULE = "--quantize.rules.0.algorithm"


@dataclass(frozen=True, kw_only=True)
class Process:
    """Arguments of Python, and what it must return. at_most: the ratio that it is held to."""

    arguments: tuple[str, ...]
    code: int = 0
    at_most: float

    def run(self, home: Path) -> None:
        """Run it to its end. Raises RuntimeError if it does not return what it must."""
        command = [sys.executable, *self.arguments]
        done = subprocess.run(
            command, cwd=home, env=dict(os.environ), capture_output=True, text=True, check=False
        )
        if done.returncode != self.code:
            raise RuntimeError(f"{' '.join(command)} returned {done.returncode}: {done.stderr}")


def main_py(*arguments: str, at_most: float, code: int = 0) -> Process:
    return Process(arguments=("main.py", *arguments), code=code, at_most=at_most)


PROCESSES = {
    PEER: Process(arguments=("-c", "import torch"), at_most=1.0),
    "help": main_py("--help", at_most=0.15),
    "list": main_py("list", "--problem=MNIST", at_most=0.3),
    "wrong problem": main_py("--problem=MNITS", "--topology=LeNet", code=2, at_most=0.3),
    "wrong key": main_py(*LENET, "--experiment.epochss=3", code=2, at_most=1.0),
    "wrong key, w4a4": main_py(
        *LENET, "--config=w4a4", "--experiment.epochss=3", code=2, at_most=1.0
    ),
    "wrong key of a rule": main_py(
        *LENET, "--config=w4a4", f"{RULE}.num_bitz=3", code=2, at_most=1.0
    ),
    "import quantlab.sparse": Process(arguments=("-c", "import quantlab.sparse"), at_most=1.1),
    "a run of one step": main_py(*LENET, *ONE_STEP, at_most=1.6),
}


def rows() -> list[Row]:
    """Return the comparison of all processes."""
    with TemporaryDirectory() as folder:
        home = make_lab(Path(folder) / "lab").home
        sides: dict[str, Callable[[], object]] = {
            name: partial(process.run, home) for name, process in PROCESSES.items()
        }
        timings = interleaved(sides, REPEATS)
    return [
        Row(
            figures={
                "process": name,
                "milliseconds": timing.seconds * 1e3,
                "at_most": PROCESSES[name].at_most,
            },
            peer=PEER,
            ratio=1 / timing.ratio,
        )
        for name, timing in timings.items()
    ]


if __name__ == "__main__":
    report("start_time", rows())
