"""A stored model's module as an engine of `verify`: every tensor, by the code that classifies."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.store.modules import Interface
from quantlab.errors import UsageError

_TABLE = "module_rows"
Integers = NDArray[Any]


class ModuleEngine:
    """Runs the functions of a model. num_threads: of a query."""

    def __init__(
        self, connection: Connection, name: str, interface: Interface, *, num_threads: int = 1
    ) -> None:
        self._connection, self._interface = connection, interface
        self._function = f"{name}_tensor"
        self._settings = (
            f"max_threads = {num_threads}, "
            f"webassembly_udf_max_input_block_size = {interface.rows_per_call}"
        )

    def execute(self, inputs: Mapping[str, Integers]) -> Iterator[tuple[str, Integers]]:
        """Yield the name and value of every tensor that an operation makes."""
        (images,) = inputs.values()
        self._store(images)
        for name, tensor in self._interface.tensors.items():
            data = b"".join(self._rows(tensor.number, len(images)))
            yield name, np.frombuffer(data, tensor.dtype).reshape(len(images), *tensor.shape)

    def outputs(self, images: Integers) -> list[Integers]:
        """Return the outputs for a batch of the only input, `[N, ...]`."""
        self._store(images)
        found = []
        for tensor in self._interface.outputs:
            data = b"".join(self._rows(tensor.number, len(images)))
            found.append(np.frombuffer(data, tensor.dtype).reshape(len(images), *tensor.shape))
        return found

    def _store(self, images: Integers) -> None:
        size = self._interface.row_bytes
        rows = [image.tobytes() for image in np.ascontiguousarray(images)]
        if any(len(row) != size for row in rows):
            raise UsageError(f"images of {len(rows[0])} bytes given, {size} allowed")
        self._connection.execute(f"DROP TABLE IF EXISTS {_TABLE}")
        self._connection.execute(
            f"CREATE TEMPORARY TABLE {_TABLE} (id UInt32, image FixedString({size}))"
        )
        self._connection.insert(_TABLE, {"id": np.arange(len(rows)), "image": rows})

    def _rows(self, number: int, count: int) -> list[bytes]:
        """Return the bytes of a tensor of each image, in the order of the images."""
        found = self._connection.execute(
            f"SELECT {self._function}(image, toUInt16({{number:UInt16}})) AS tensor "
            f"FROM {_TABLE} ORDER BY id SETTINGS {self._settings}",
            {"number": number},
        )["tensor"]
        if len(found) != count:
            raise UsageError(f"ClickHouse: {len(found)} results of {count} images")
        return list(found)
