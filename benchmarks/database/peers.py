"""The same query by a float runtime that is called from SQL, one thread.

DuckDB calls onnxruntime with columns of Arrow (a vector of rows each). chDB calls it with a row at
a time, which is all that its functions of Python take, as text, which has to be UTF-8, so in
hexadecimal. Networks are in float32, batch norms folded; the query sums the classes. The ratio is
DuckDB's time / the time.
"""

import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.database.programs import float_network, network_named
from benchmarks.database.speed import class_query
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row, interleaved

Classify = Callable[[NDArray[np.uint8]], NDArray[np.int64]]


def classifier(name: str, folder: Path) -> Classify:
    """Return the classes `[N]` of pixels `[N, bytes of an image]`, by onnxruntime."""
    import onnxruntime

    chosen = network_named(name)
    preprocess: Any = chosen.library.preprocess
    normalization = preprocess.NORMALIZATION
    zero_point = np.array(normalization.zero_point, np.float32).reshape(-1, 1, 1)
    scale = np.array(normalization.scale, np.float32).reshape(-1, 1, 1)
    path = folder / f"{name}.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter says that it is the older one
        torch.onnx.export(
            nn.Sequential(float_network(name)),
            (torch.zeros(1, *chosen.shape),),
            str(path),
            dynamo=False,
            input_names=["x"],
            dynamic_axes={"x": {0: "N"}},
            opset_version=17,
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def classes(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        real = (pixels.reshape(-1, *chosen.shape) - zero_point) * scale
        (scores,) = session.run(None, {"x": real})
        found: NDArray[np.int64] = scores.argmax(1)
        return found

    return classes


def beside_peers(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the rows of DuckDB, of chDB's function of Python and of the module."""
    import duckdb
    import onnxruntime

    images = workplace.images(name, count)
    model, table = workplace.model(name), workplace.table(name, count)
    peer = f"DuckDB {duckdb.__version__}, onnxruntime {onnxruntime.__version__}"
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as connection:
        classes = classifier(name, Path(folder))
        by_duckdb = _in_duckdb(connection, classes, images.rows)
        by_python = _in_chdb(workplace, model, classes, table)
        sides: dict[str, Callable[[], object]] = {
            peer: by_duckdb,
            f"chDB, Python, onnxruntime {onnxruntime.__version__}": by_python,
            "wasm, classes": lambda: workplace.connection.execute(class_query(model, table)),
        }
        for side, timing in interleaved(sides, workplace.repeats).items():
            yield workplace.row(
                "peers", name, side, images=len(images.pixels), peer=peer, ratio=timing.ratio,
                value=timing.seconds / len(images.pixels) * 1e6, unit="us an image",
            )  # fmt: skip


def _in_duckdb(connection: Any, classes: Classify, rows: list[bytes]) -> Callable[[], object]:
    import duckdb.sqltypes as types
    import pyarrow as pa

    def of_column(column: Any) -> Any:
        pixels = np.frombuffer(b"".join(column.to_pylist()), np.uint8)
        return pa.array(classes(pixels.reshape(len(column), -1)))

    connection.execute("SET threads = 1")
    connection.register("given", pa.table({"image": pa.array(rows, pa.binary())}))
    connection.execute("CREATE TABLE images AS SELECT image FROM given")
    connection.create_function("class_of", of_column, [types.BLOB], types.BIGINT, type="arrow")
    return lambda: connection.execute("SELECT sum(class_of(image)) FROM images").fetchall()


def _in_chdb(
    workplace: Workplace, model: str, classes: Classify, table: str
) -> Callable[[], object]:
    import chdb

    def of_row(image: str) -> int:
        return int(classes(np.frombuffer(bytes.fromhex(image), np.uint8))[0])

    chdb.create_function(f"{model}_python", of_row, ["String"], "Int64")
    text = f"SELECT sum({model}_python(hex(image))) AS x FROM {table} SETTINGS max_threads = 1"
    return lambda: workplace.connection.execute(text)
