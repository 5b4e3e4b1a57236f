"""A model as rows: what it has beside the parameters of its layers."""

from collections.abc import Mapping, Sequence
from typing import Any

from quantlab.deploy.clickhouse.store.header import header_of
from quantlab.deploy.clickhouse.store.layers import Layer
from quantlab.deploy.clickhouse.store.modules import Interface, to_text
from quantlab.integer.file import stored_tensors
from quantlab.integer.program import Program

Rows = Mapping[str, list[Any]]


def layer_rows(name: str, version: int, program: Program, layers: Sequence[Layer]) -> Rows:
    """Return the rows of `model_layers`."""
    operations = program.operations
    return {
        "name": [name] * len(layers),
        "version": [version] * len(layers),
        "position": list(range(len(layers))),
        "layer": [layer.key for layer in layers],
        "path": [operation.layer for operation in operations],
        "inputs": [list(operation.inputs) for operation in operations],
        "output": [operation.output for operation in operations],
    }


def model_row(name: str, version: int, program: Program, digest: str) -> Rows:
    """Return the row of `models`. digest: the SHA-256 of the program's file."""
    return {
        "name": [name],
        "version": [version],
        "program": [digest],
        "header": [header_of(program)],
        "num_bytes": [sum(len(one.encode()) for one in stored_tensors(program).values())],
    }


def module_row(digest: str, interface: Interface, code: bytes) -> Rows:
    """Return the row of `modules`."""
    return {
        "program": [digest],
        "module": [interface.module],
        "interface": [to_text(interface)],
        "code": [code],
    }
