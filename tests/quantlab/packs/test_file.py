"""Packs in files: all of their bytes, damaged ones, and without torch."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.errors import DataError, UsageError, VerificationError
from quantlab.formats import compact, container
from quantlab.generation import MLGConv2d, MLGSpec
from quantlab.packs import from_bytes, load, make_pack, pack_sizes, save, to_bytes
from tests.quantlab.packs.networks import images, small

READ = """
import sys
import numpy as np
from quantlab.packs import load
np.save(sys.argv[3], load(sys.argv[1]).scores(np.load(sys.argv[2])))
assert "torch" not in sys.modules
"""


def tiny() -> nn.Module:
    torch.manual_seed(0)
    layer = MLGConv2d(3, 4, 3, spec=MLGSpec(base_in=2, base_out=2))
    return nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval()


def test_a_pack_runs_without_torch(tmp_path: Path) -> None:
    network = small()
    save(make_pack(network, images()), tmp_path / "x.mlgpack")
    np.save(tmp_path / "images.npy", images().numpy())
    names = [str(tmp_path / name) for name in ("x.mlgpack", "images.npy", "scores.npy")]
    subprocess.run([sys.executable, "-c", READ, *names], check=True)
    expected = network(images()).detach().numpy()
    found = np.load(tmp_path / "scores.npy")
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_the_same_pack_gives_the_same_bytes(tmp_path: Path) -> None:
    data = to_bytes(make_pack(small(), images()))
    assert to_bytes(make_pack(small(), images())) == data
    assert to_bytes(from_bytes(data, "x")) == data
    assert save(from_bytes(data, "x"), str(tmp_path / "x.mlgpack")) == len(data)
    named = replace(from_bytes(data, "x"), made_from="ab12")
    assert from_bytes(to_bytes(named), "x").made_from == "ab12"
    assert (tmp_path / "x.mlgpack").read_bytes() == data


@pytest.mark.parametrize("is_coded", [False, True])
def test_sizes_add_up_to_the_file(*, is_coded: bool) -> None:
    network = small()
    data = to_bytes(make_pack(network, images()), is_coded=is_coded)
    sizes = pack_sizes(data)
    assert sum(size.nbytes for size in sizes) == len(data)
    rows = {(size.layer, size.part): size.nbytes for size in sizes}
    assert len(rows) == len(sizes)
    for (layer, part), nbytes in rows.items():
        if part in ("basis", "coeff_in", "coeff_out"):
            bits = {"basis": 3, "coeff_in": 6, "coeff_out": 3}[part]
            packed = -(-network.get_parameter(f"{layer}.{part}").numel() * bits // 8)
            assert nbytes <= packed if is_coded else nbytes == packed


def test_every_flipped_byte_is_refused() -> None:
    data = to_bytes(make_pack(tiny(), images()))
    for place in range(len(data)):
        damaged = bytearray(data)
        damaged[place] ^= 1 << place % 8
        with pytest.raises(VerificationError):
            from_bytes(bytes(damaged), "x")


def test_a_damaged_factor_is_named() -> None:
    pack = make_pack(tiny(), images())
    data = bytearray(to_bytes(pack, is_coded=False))
    begin = len(data) - 32 - sum(size.nbytes for size in pack_sizes(bytes(data))[:-1])
    data[begin] ^= 1
    with pytest.raises(VerificationError, match=r"x: tensor '0\.coeff_out' is damaged"):
        from_bytes(bytes(data), "x")


@pytest.mark.parametrize("length", [0, 5, 20, 500, -40, -1])
def test_a_cut_file_is_refused(length: int) -> None:
    with pytest.raises(VerificationError):
        from_bytes(to_bytes(make_pack(tiny(), images()))[:length], "x")


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="x: a program given, a mlgpack allowed"):
        from_bytes(container.pack("program", {}, {}), "x")
    with pytest.raises(DataError, match=r"none\.mlgpack: No such file"):
        load(tmp_path / "none.mlgpack")
    with pytest.raises(VerificationError, match="not a file of QuantLab"):
        from_bytes(b"PK\3\4", "x")


@pytest.mark.parametrize(
    "change",
    [
        {"operations": []},
        {"operations": [{"Product": []}]},
        {"operations": [{"open": ["x"]}]},
        {"operations": [{"Windows": [[1, 1], [1, 1], [0, 0, 0, 0], [1, 1], False]}]},
        {"operations": 3},
        {"weights": {"0": {}}},
        {"results": {"output": ["nothing", [2]]}},
        {"sizes": {}},
    ],
)
def test_a_program_that_means_nothing_is_refused(change: dict[str, object]) -> None:
    contents = container.unpack(to_bytes(make_pack(tiny(), images())), "mlgpack", "x")
    tensors = {name: compact.Compact(values=x) for name, x in contents.tensors.items()}
    data = compact.pack("mlgpack", {**contents.meta, **change}, tensors)
    with pytest.raises(VerificationError, match="x: no pack can be made of it"):
        from_bytes(data, "x")
