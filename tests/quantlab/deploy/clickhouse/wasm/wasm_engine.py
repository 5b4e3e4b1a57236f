"""Modules of WebAssembly in chDB: every tensor of a program, as the module's function gives it."""

import hashlib
from collections.abc import Iterator

import numpy as np

from quantlab.deploy.clickhouse.engines import Connection
from quantlab.deploy.clickhouse.wasm import WasmModule, module_of
from quantlab.integer.program import Program
from quantlab.integer.verify import Batch


def load_module(connection: Connection, module: WasmModule) -> str:
    """Make a function of a module; return its name, which the module's bytes give."""
    name = "wasm_" + hashlib.sha256(module.code).hexdigest()[:16]
    rows = connection.execute(
        "SELECT count() AS n FROM system.functions WHERE name = {name:String}", {"name": name}
    )
    if not rows["n"][0]:
        connection.insert("system.webassembly_modules", {"name": [name], "code": [module.code]})
        connection.execute(
            f"CREATE FUNCTION {name} LANGUAGE WASM ARGUMENTS (image FixedString({module.row_bytes})"
            f", tensor UInt16) RETURNS String FROM '{name}' :: '{module.function}' "
            "ABI BUFFERED_V1 SETTINGS serialization_format = 'RowBinary'"
        )
    return name


class WasmEngine:
    """A program in chDB. settings: of the queries, such as `max_threads = 2`."""

    def __init__(
        self, connection: Connection, program: Program, settings: str = "max_threads = 1"
    ) -> None:
        self._connection, self._settings, self._program = connection, settings, program
        self.module = module_of(program, is_poisoned=True)
        self.function = load_module(connection, self.module)

    def execute(self, inputs: Batch) -> Iterator[tuple[str, np.ndarray]]:
        (images,) = inputs.values()
        for operation in self._program.operations:
            tensor = self.module.tensors[operation.output]
            rows = self.rows(images, tensor.number)
            values = np.frombuffer(b"".join(rows), tensor.dtype)
            yield operation.output, values.reshape(len(images), *tensor.shape)

    def rows(self, images: np.ndarray, number: int) -> list[bytes]:
        """Return the bytes of a tensor of each image, in the order of the images."""
        connection, size = self._connection, self.module.row_bytes
        connection.execute("DROP TABLE IF EXISTS wasm_images")
        connection.execute(
            f"CREATE TABLE wasm_images (id UInt32, image FixedString({size})) ENGINE = Memory"
        )
        connection.insert(
            "wasm_images",
            {"id": np.arange(len(images)), "image": [image.tobytes() for image in images]},
        )
        columns = connection.execute(
            f"SELECT id, {self.function}(image, toUInt16({number})) AS tensor FROM wasm_images "
            f"ORDER BY id SETTINGS {self._settings}"
        )
        return list(columns["tensor"])
