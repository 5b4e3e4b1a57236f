"""Packs in files: all of their bytes, damaged ones, and without torch."""

import copy
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from quantlab.errors import DataError, UsageError, VerificationError
from quantlab.formats import compact, container
from quantlab.generation import MLGConv2d, MLGSpec
from quantlab.packs import from_bytes, load, make_pack, pack_sizes, save, to_bytes
from tests.quantlab.packs.networks import Various, images, small

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
    with pytest.raises(VerificationError, match="x: no pack can be made of it"):
        from_bytes(crafted(**change), "x")


def test_files_with_names_of_arrays_are_read() -> None:
    data = (Path(__file__).parent / "named_arrays.mlgpack").read_bytes()
    assert isinstance(container.unpack(data, "mlgpack", "x").meta["sizes"], dict)
    old = from_bytes(data, "x")
    new = from_bytes(to_bytes(old), "x")
    x = torch.rand(2, 3, 4, 4).numpy()
    assert np.array_equal(new.scores(x), old.scores(x))
    assert len(to_bytes(old)) < len(data)


@pytest.mark.parametrize("sizes", [[], [1], [1] * 9])
def test_other_numbers_of_sizes_are_refused(sizes: list[int]) -> None:
    assert _is_refused(crafted(sizes=sizes))


@cache
def written(make: Callable[[], nn.Module] = tiny) -> container.Contents:
    torch.manual_seed(0)
    return container.unpack(to_bytes(make_pack(make().eval(), images())), "mlgpack", "x")


def crafted(
    tensors: Mapping[str, compact.Compact] | None = None,
    make: Callable[[], nn.Module] = tiny,
    **change: object,
) -> bytes:
    """A file with good hashes and another program than the one that was written."""
    contents = written(make)
    given = {name: compact.Compact(values=x) for name, x in contents.tensors.items()}
    return compact.pack("mlgpack", {**contents.meta, **change}, {**given, **(tensors or {})})


def meta(make: Callable[[], nn.Module] = tiny) -> dict[str, Any]:
    found: dict[str, Any] = copy.deepcopy(written(make).meta)
    return found


WRONG = [-1, 0, 2**40, 2**28, 1.5, "a", None, True, [], {}, [1], {"places": [0, 3, 1]}]


def _is_refused(data: bytes) -> bool:
    try:
        from_bytes(data, "x").scores(images(1).numpy())
    except VerificationError as error:
        return "\n" not in str(error)
    return False


@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_sizes_that_cannot_be_are_refused(wrong: Any) -> None:
    given = meta()
    for place in range(len(given["sizes"])):
        sizes = [*given["sizes"]]
        sizes[place] = wrong
        assert _is_refused(crafted(sizes=sizes))
    for name, (array, shape) in given["results"].items():
        assert _is_refused(crafted(results={name: [array, [wrong]]}))
        assert _is_refused(crafted(results={name: [wrong, shape]}))
    for name, shape in given["inputs"].items():
        assert _is_refused(crafted(inputs={name: [wrong, *shape[1:]]}))
    assert _is_refused(crafted(inputs={}))
    assert _is_refused(crafted(made_from=3))


@pytest.mark.parametrize("make", [tiny, pytest.param(Various, marks=pytest.mark.long)])
@pytest.mark.parametrize("wrong", WRONG, ids=str)
def test_operations_raise_nothing_else(make: Callable[[], nn.Module], wrong: Any) -> None:
    """Whatever stands in the place of a value of a program, also within one."""
    operations = meta(make)["operations"]
    refused = 0
    for path in _paths(operations, ()):
        changed = copy.deepcopy(operations)
        part = changed
        for key in path[:-1]:
            part = part[key]
        part[path[-1]] = wrong
        refused += _is_refused(crafted(make=make, operations=changed))
    assert refused


def _paths(plain: Any, here: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    parts = enumerate(plain) if isinstance(plain, list) else plain.items()
    for key, part in parts:
        yield (*here, key)
        if isinstance(part, list | dict):
            yield from _paths(part, (*here, key))


@pytest.mark.parametrize("places", [[0, 2**27, 1], [[0.5]], [[None]]])
def test_places_are_bounded_by_the_arrays(places: Any) -> None:
    tracemalloc.start()
    operations = meta()["operations"]
    operations[0]["Product"][4] = {"places": places}
    with pytest.raises(VerificationError, match="places of"):
        from_bytes(crafted(operations=operations), "x")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_factors_are_not_multiplied_for_another_shape() -> None:
    tensors = {
        name: compact.Compact(values=np.zeros(shape, np.int8), num_bits=2, is_coded=True)
        for name, shape in {"0.coeff_out": (5000, 2), "0.basis": (2, 5000)}.items()
    }
    parts = {name: [f"0.{name}", 2, False] for name in ("coeff_out", "basis")}
    data = crafted(tensors, weights={"0": parts})
    tracemalloc.start()
    with pytest.raises(VerificationError, match=r"'0': a weight of \[5000, 5000\] for \[4, 3, 3"):
        from_bytes(data, "x")
    assert tracemalloc.get_traced_memory()[1] < 1 << 24
    tracemalloc.stop()


def test_a_batch_of_nothing_is_refused() -> None:
    pack = make_pack(tiny(), images())
    for given in (np.zeros((0, 3, 8, 8)), np.float32(3)):
        with pytest.raises(UsageError, match="no samples given"):
            pack.scores(given)
