"""Trained networks as modules in chDB: every tensor."""

from pathlib import Path

import pytest

from problems.images.normalize import CIFAR10, MNIST, Normalization, normalize
from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.verify import compare
from tests.models import stored
from tests.quantlab.deploy.clickhouse.wasm.wasm_engine import WasmEngine
from tests.quantlab.integer.test_trained import photos


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "shape", "normalization"),
    [("lenet_w4a4", (1, 28, 28), MNIST), ("resnet20_w4a4", (3, 32, 32), CIFAR10)],
)
def test_the_same_integers(
    tmp_path: Path, name: str, shape: tuple[int, int, int], normalization: Normalization
) -> None:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    spec = InputSpec(shape=shape, scale=normalization.scale, zero_point=normalization.zero_point)
    samples = normalize(photos(64, shape, 1), normalization)
    program = lower(stored.network(name), spec, samples)
    with open_chdb(tmp_path) as connection:
        engine = WasmEngine(connection, program, "max_threads = 2, max_block_size = 7")
        batch = {"input": photos(40, shape, 2).numpy()}
        for comparison in compare(program, {"wasm": engine}, [batch]):
            comparison.check()
