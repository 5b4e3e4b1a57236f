"""A problem as a user makes it after docs/getting-started.md, with one of the networks here."""

import json
import shutil
import subprocess
from pathlib import Path

from tests.lab import Lab
from tests.models.user_networks.journey import Raw, Rules

HERE = Path(__file__).parent
DATA = '''"""Made-up images of four classes."""

from pathlib import Path

import torch

from experiments.protocols import Data, InMemory, Source

CLASSES = ("a", "b", "c", "d")


def load(folder: Path, source: Source) -> Data:
    """Return 64 images to train and 24 to test."""
    return Data(train=draw(64, 1), test=draw(24, 2), source="synthetic")


def fetch(folder: Path) -> str:
    return "nothing to fetch"


def draw(count: int, seed: int) -> InMemory:
    patterns = torch.rand((4, *SHAPE), generator=torch.Generator().manual_seed(0))
    noise = torch.rand((count, *SHAPE), generator=torch.Generator().manual_seed(seed))
    targets = torch.arange(count) % 4
    images = (255 * (patterns[targets] + noise) / 2).to(torch.uint8)
    return InMemory(inputs=images, targets=targets, classes=CLASSES)
'''
PREPROCESS = '''"""Raw images to the network's inputs."""

from torch import Tensor

from problems.images.normalize import Normalization, normalize

NORMALIZATION = Normalization(zero_point=ZERO_POINT, scale=SCALE)
NUM_DRAWS = 0


def train(inputs: Tensor, draws_NK: Tensor) -> Tensor:
    return evaluate(inputs)


def evaluate(inputs: Tensor) -> Tensor:
    return normalize(inputs, NORMALIZATION)
'''
CONFIG = """
experiment: {name: blog, epochs: 2, threads: 1}
data: {batch_size: 16, augment: false, workers: 0, valid_fraction: 0.25}
network: {class: CLASS}
training:
  loss: {class: CrossEntropyLoss}
  optimizer: {class: SGD, params: {lr: 0.02, momentum: 0.9}}
"""


def write_problem(lab: Lab, file: str, name: str, raw: Raw, rules: Rules) -> None:
    """Make the problem Blog with the topology Net: a class of a file of this folder."""
    subprocess.run(
        ["bash", "cfg/problem.sh", "Blog"], cwd=lab.home, check=True, capture_output=True
    )
    problem = lab.problems / "Blog"
    net = problem / "Net"
    net.mkdir()
    channels = raw.shape[0]
    (problem / "data.py").write_text(DATA.replace("SHAPE", str(raw.shape)))
    shutil.copy(lab.problems / "MNIST" / "meter.py", problem)
    (net / "__init__.py").write_text('"""From a blog."""\n')
    shutil.copy(HERE / file, net / "network.py")
    shutil.copy(lab.problems / "MNIST" / "LeNet" / "postprocess.py", net)
    preprocess = PREPROCESS.replace("ZERO_POINT", str((raw.zero_point,) * channels), 1)
    (net / "preprocess.py").write_text(preprocess.replace("SCALE", str((raw.scale,) * channels), 1))
    config = CONFIG.replace("CLASS", name, 1) + f"quantize: {json.dumps({'rules': list(rules)})}\n"
    (net / "config.yaml").write_text(config)
