"""C of floats: near torch's, and the same bits in NumPy, on this machine and on boards."""

from pathlib import Path
from shutil import which

import pytest
import torch
from torch import nn

from tests.quantlab.deploy.float_models import check

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")


@needs_compiler
def test_a_network_of_layers_with_pooling(tmp_path: Path) -> None:
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3, stride=2, groups=2), nn.Hardswish(), nn.Flatten(), nn.Linear(36, 5),
    ).eval()  # fmt: skip
    check(network, torch.randn(4, 3, 15, 12), tmp_path)
