"""Where the store lies, and what a database cannot compute."""

import json
from pathlib import Path

import numpy as np
import pytest

from experiments import library
from experiments.deployment import database
from quantlab.errors import DataError, UsageError
from quantlab.integer.operations import Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"logs": 3}'])
def test_a_storage_that_is_not_named(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "HOME", tmp_path)
    (tmp_path / "cfg").mkdir()
    with pytest.raises(UsageError, match="names no storage of logs; give --store=FOLDER"):
        database.store_folder()
    (tmp_path / "cfg" / "hard_folders.json").write_text(text)
    with pytest.raises(UsageError, match="names no storage of logs; give --store=FOLDER"):
        database.store_folder()


def test_the_store_lies_on_the_storage_of_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "HOME", tmp_path)
    (tmp_path / "cfg").mkdir()
    (tmp_path / "cfg" / "hard_folders.json").write_text(json.dumps({"logs": "storage"}))
    assert database.store_folder() == tmp_path / "storage" / "QuantLab" / "clickhouse"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        database.program_of_file(tmp_path / "no.sql")


def test_one_output_alone_is_predicted() -> None:
    program = Program(
        inputs={"x": TensorType((8,), U8)},
        operations=(Reshape(inputs=("x",), output="y", shape=(2, 4)),),
        outputs=("x", "y"),
    )
    with pytest.raises(UsageError, match="outputs x, y given, one allowed"):
        database.outputs_in_database(program, np.zeros((1, 8), np.uint8))
