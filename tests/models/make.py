"""Train the networks that tests use, and write them beside this file.

    python -m tests.models.make               # all that are missing
    python -m tests.models.make lenet_w4a4    # one anew

LeNet takes a minute each on 2 cores; ResNet-20 wants a GPU (add --training.compile=true to its
settings there for speed) and CIFAR-10 in the problem's data folder.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

HOME = Path(__file__).resolve().parent
CHECKOUT = HOME.parents[1]


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A run of main.py. after: the recipe whose weights it starts from."""

    problem: str
    topology: str
    config: str
    settings: Sequence[str] = ()
    after: str | None = None


RECIPES = {
    "lenet_float": Recipe(problem="MNIST", topology="LeNet", config="float"),
    "lenet_w4a4": Recipe(problem="MNIST", topology="LeNet", config="lsq"),
    "resnet20_float": Recipe(problem="CIFAR10", topology="ResNet", config="short"),
    "resnet20_w4a4": Recipe(
        problem="CIFAR10",
        topology="ResNet",
        config="lsq_w4a4",
        settings=(
            *("--network.params.depth=20", "--experiment.epochs=15"),
            "--training.optimizer.params.lr=0.1",
        ),
        after="resnet20_float",
    ),
}


def file_of(name: str) -> Path:
    return HOME / f"{name}.pt"


def make(name: str) -> None:
    """Train a network and write it. Raises CalledProcessError if training fails."""
    recipe = RECIPES[name]
    command = [sys.executable, "main.py", f"--problem={recipe.problem}"]
    command += [f"--topology={recipe.topology}", f"--config={recipe.config}", *recipe.settings]
    if recipe.after is not None:
        file = file_of(recipe.after).relative_to(CHECKOUT)
        command.append(f"--network.pretrained.file={file}")
    done = subprocess.run(command, cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    found = re.search(r"run folder: (\S+)", done.stdout)
    assert found is not None, done.stdout
    run = CHECKOUT / found[1]
    record = json.loads((run / "run.json").read_text())
    saves = run / "fold0" / "saves"
    best = saves / "best.ckpt"
    weights = torch.load(best if best.exists() else saves / "last.ckpt", weights_only=True)
    saved = {
        "network": weights["network"],
        "problem": recipe.problem,
        "topology": recipe.topology,
        "config": json.dumps(record["config"]),
        "metrics": record["metrics"],
        "command": " ".join(command[1:]),
    }
    torch.save(saved, file_of(name))
    top1, size = record["metrics"]["test/top1"], file_of(name).stat().st_size
    sys.stdout.write(f"{name}: top1 {top1:.2f}, {size} bytes\n")


if __name__ == "__main__":
    for name in sys.argv[1:] or [name for name in RECIPES if not file_of(name).exists()]:
        make(name)
