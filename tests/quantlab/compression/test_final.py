"""Whatever training did, the objects fit."""

from dataclasses import replace
from shutil import which

import pytest
import torch
from torch import nn

from quantlab.compression.exporting import Exporter
from quantlab.compression.final import trimmed
from quantlab.compression.unreachable import UnreachableError
from quantlab.conversion.samples import spec_of
from quantlab.deploy.c.footprint import flash_bytes

pytestmark = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")


def test_the_smallest_weights_go_until_the_objects_fit() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 40), nn.ReLU(), nn.Linear(40, 3)).eval()
    samples = torch.rand(16, 1, 8, 8)
    exporter = Exporter(
        spec=spec_of(samples, is_raw=False), samples=samples, command=("cc",), encodings=("small",)
    )
    made = exporter.quantized(network, {})
    before = made[1].weight.detach().clone()
    dense = exporter.export(made).flash
    exported = trimmed(made, exporter, dense - 1500)
    assert exported.flash <= dense - 1500
    assert flash_bytes(exported.model.files, ("cc",)) == exported.flash
    gone = (made[1].weight == 0) & (before != 0)
    assert gone.any()
    assert before[gone].abs().mean() < before[~gone].abs().mean()
    assert trimmed(made, exporter, exported.flash).flash == exported.flash


def test_what_does_not_fit_without_any_weight() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(64, 3)).eval()
    samples = torch.rand(16, 1, 8, 8)
    exporter = Exporter(
        spec=spec_of(samples, is_raw=False), samples=samples, command=("cc",), encodings=("small",)
    )
    with pytest.raises(UnreachableError, match=r"300 bytes given, .* the fewest") as error:
        trimmed(exporter.quantized(network, {}), exporter, 300)
    assert error.value.smallest is not None
    assert error.value.smallest > 300


def test_memory_that_sparse_layers_exceed_gets_dense_ones() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3), nn.Flatten()).eval()
    with torch.no_grad():
        network[2].weight[torch.rand(8, 8, 3, 3) < 0.9] = 0
    samples = torch.rand(16, 4, 6, 6)
    exporter = Exporter(
        spec=spec_of(samples, is_raw=False), samples=samples, command=("cc",), encodings=("csr",)
    )
    made = exporter.quantized(network, {})
    wide = exporter.export(made)
    narrow = replace(exporter, ram=wide.sizes.ram - 1).export(made)
    assert (wide.encoding, narrow.encoding) == ("csr", "dense")
    assert narrow.sizes.ram < wide.sizes.ram
