"""Images in a table as the rows of a tensor."""

from pathlib import Path

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import open_chdb
from quantlab.deploy.clickhouse.relational.engine import tensor_of_rows
from quantlab.deploy.clickhouse.relational.images import images_in
from quantlab.deploy.clickhouse.relational.writer import columns
from quantlab.deploy.clickhouse.sql.dialect import MODERN
from quantlab.deploy.clickhouse.sql.nodes import Select, Table
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.integer.tensor_type import S8, S16, S32, U8, TensorType

pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")


def test_all_types_of_integers(tmp_path: Path) -> None:
    with open_chdb(tmp_path) as chdb:
        for kind in (U8, S8, S16, S32):
            given = TensorType((2, 3), kind)
            integers = np.random.default_rng(0).integers(
                kind.minimum, kind.maximum + 1, (3, 2, 3), dtype=kind.dtype
            )
            size = integers[0].nbytes
            chdb.execute("DROP TABLE IF EXISTS photos")
            chdb.execute(f"CREATE TEMPORARY TABLE photos (n UInt64, `Photo` FixedString({size}))")
            rows = {
                "n": np.array([2, 0, 1], np.uint64),
                "Photo": [integers[i].tobytes() for i in (2, 0, 1)],
            }
            chdb.insert("photos", rows)
            source = images_in(Table("photos"), given, sample="n", image="Photo")
            made = columns("sample", "element", "value")
            query = render(Select(columns=made, source=source), MODERN)
            found = chdb.execute(query.text, query.parameters)
            np.testing.assert_array_equal(tensor_of_rows("x", found, given, 3), integers)
