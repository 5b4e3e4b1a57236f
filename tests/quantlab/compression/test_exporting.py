"""Networks as C: the smallest encoding, whatever was compiled first."""

from dataclasses import replace
from shutil import which

import pytest
import torch
from torch import nn

from quantlab.compression.exporting import Exporter
from quantlab.conversion.samples import spec_of
from quantlab.deploy.c.footprint import flash_bytes
from quantlab.deploy.c.model import c_model

pytestmark = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
NAMES = ("dense", "smallest", "tiny")
COMMAND = ("cc",)


def made() -> tuple[nn.Module, Exporter]:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
    with torch.no_grad():
        network[3].weight.mul_(torch.rand(3, 64) < 0.2)
    samples = torch.rand(8, 1, 6, 6)
    exporter = Exporter(
        spec=spec_of(samples, is_raw=False), samples=samples, command=COMMAND, encodings=NAMES
    )
    return exporter.quantized(network, {}), exporter


def test_the_encoding_of_the_smallest_objects_is_taken() -> None:
    network, exporter = made()
    models = {name: c_model(exporter.program(network), name) for name in NAMES}
    sizes = {name: flash_bytes(model.files, COMMAND) for name, model in models.items()}
    best = min(sizes, key=lambda name: sizes[name])
    exported = exporter.export(network)
    assert (exported.encoding, exported.flash) == (best, sizes[best])
    assert exported.model.files == models[best].files


def test_what_is_beyond_the_memory_is_not_taken() -> None:
    network, exporter = made()
    needed = {n: c_model(exporter.program(network), n).sizes.ram for n in NAMES}
    least = min(needed.values())
    assert replace(exporter, ram=least).export(network).sizes.ram == least
    assert replace(exporter, ram=1).export(network).sizes.ram == least
    twice = replace(exporter, ram=1, encodings=("tiny", "tiny"))
    assert twice.export(network).sizes.ram <= needed["tiny"]
