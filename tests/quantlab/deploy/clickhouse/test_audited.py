"""Elements of a stored model, from a table of images."""

from pathlib import Path

import numpy as np
import pytest

from quantlab.deploy.clickhouse.audited import audited
from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.deploy.clickhouse.store import Store
from quantlab.errors import UsageError
from quantlab.integer.interpreter import execute
from quantlab.integer.operations import Concatenate
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from tests.quantlab.deploy.clickhouse.relational.tiny import binary_program, images


def test_elements_of_a_stored_model(tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")
    samples = images(binary_program(), 3)
    tensors = dict(execute(binary_program(), samples))
    with open_chdb(tmp_path) as connection:
        store = Store(connection)
        store.load("net", binary_program())
        connection.execute("CREATE TEMPORARY TABLE photos (id UInt32, image String)")
        rows = [image.tobytes() for image in samples["x"]]
        connection.insert("photos", {"id": np.array([7, 5, 9], np.uint32), "image": rows})
        program = store.program("net")
        for tensor, element in (("bits", 2), ("sums", 11)):
            query = audited(program, tensor, element, 5, images="photos")
            found = connection.execute(query.text, query.parameters)
            assert {name: values.tolist() for name, values in found.items()} == {
                "sample": [5],
                "element": [element],
                "value": [int(tensors[tensor][1].reshape(-1)[element])],
            }
        query = audited(program, "bits", 2, 6, images="photos")
        assert len(connection.execute(query.text, query.parameters).get("value", [])) == 0


def test_several_inputs_are_refused() -> None:
    given = TensorType((2,), U8)
    program = Program(
        inputs={"a": given, "b": given},
        operations=(Concatenate(inputs=("a", "b"), output="c", axis=0),),
        outputs=("c",),
    )
    with pytest.raises(UsageError, match="audit: 2 inputs given, a program of one allowed"):
        audited(program, "c", 0, 0)
