"""The digits network and the reference networks as C, however their weights are stored: every
element of every tensor, on this machine and on all boards."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmarks.pruned_digits import digits, samples
from quantlab.conversion.save import save_compressed_model
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.deploy.table import engine_source
from quantlab.errors import UsageError
from quantlab.integer.program import Program
from quantlab.integer.verify import compare
from tests.quantlab.deploy.boards import engine

pytestmark = pytest.mark.long
OFFICIAL = Path(__file__).resolve().parents[3] / "shared" / "data" / "tinyml"
official = pytest.mark.skipif(not OFFICIAL.exists(), reason="the files of MLPerf Tiny are not here")
ENCODINGS = ("dense", "csr", "auto", "smallest")
REFERENCES = ("DS-CNN", "ResNet-8", "MobileNetV1", "autoencoder")
LARGE = [name for name in BOARDS if name not in ("c-m0", "c-msp430")]
COUNTS = {"c": 1000, "c-msp430": 2}  # samples; 16 on other boards


def check(program: Program, encoding: str, name: str, folder: Path) -> None:
    """Compare every element of a program whose weights are stored in some way."""
    write_files(c_model(program, encoding).files, folder / "c")
    running = {name: engine_source(name).open({"network": program}, folder)}
    ((given, kind),) = program.inputs.items()
    ends, count = (kind.kind.minimum, kind.kind.maximum + 1), COUNTS.get(name, 16)
    vectors = np.random.default_rng(7).integers(*ends, (count, *kind.shape)).astype(kind.kind.dtype)
    vectors[0], vectors[1] = kind.kind.minimum, kind.kind.maximum
    batches: Sequence[dict[str, np.ndarray]] = [
        {given: vectors[first : first + 16]} for first in range(0, count, 16)
    ]
    (found,) = compare(program, running, batches)
    assert found.num_mismatches == 0, found.first
    assert found.num_samples == count


@cache
def digits_of(dtype: str, directory: str) -> Program:
    """Return the digits network of 8 or 16 bits between its layers."""
    saved = save_compressed_model(
        digits(), "dense", example_data=samples(), directory=directory, dtype=dtype
    )
    assert isinstance(saved.program, Program)
    return saved.program


@pytest.mark.parametrize("dtype", ["s8", "s16"])
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", [engine("c"), *(engine(board) for board in BOARDS)])
def test_the_digits_network(dtype: str, encoding: str, name: str, tmp_path: Path) -> None:
    program = digits_of(dtype, str(tmp_path / "saved"))
    if (encoding, name) == ("dense", "c-msp430"):
        with pytest.raises(UsageError, match=r"bytes of FLASH needed, 48,000 available"):
            check(program, encoding, name, tmp_path)
        return
    check(program, encoding, name, tmp_path)


@official
@pytest.mark.parametrize("network", REFERENCES)
@pytest.mark.parametrize("encoding", ["auto", "smallest"])
@pytest.mark.parametrize("name", [engine("c"), *(engine(board) for board in LARGE)])
def test_the_reference_networks(network: str, encoding: str, name: str, tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    from benchmarks.reference_networks import NETWORKS
    from benchmarks.tflite import read

    program = read(OFFICIAL / NETWORKS[network]).program
    check(program, encoding, name, tmp_path)
