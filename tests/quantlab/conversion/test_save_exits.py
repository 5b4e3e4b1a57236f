"""A program with exits as a folder of C: what is written, replaced and refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from quantlab.conversion.save_exits import save_exits
from quantlab.errors import UsageError
from tests.quantlab.exits.networks import codes, program


def test_a_folder_holds_one_model(tmp_path: Path) -> None:
    save_exits(program(), tmp_path, vectors=codes(2))
    saved = save_exits(program(), tmp_path, encoding="dense")
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.*")} == set(saved.hashes)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"notes\.txt: no file of an earlier export"):
        save_exits(program(), tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"exits": 3}, "exits: a int given"),
        ({"directory": 3}, "directory: a int given"),
        ({"encoding": "csx"}, "encoding: 'csx' given"),
        ({"vectors": {"input": np.zeros((1, 2), np.uint8)}}, "input 'input': "),
        ({"ram": 10}, "ram: "),
        ({"flash": "x"}, "flash: a str given"),
    ],
)
def test_wrong_arguments_are_one_line_and_nothing_is_written(
    changes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    given = {"exits": program(), "directory": tmp_path / "c", **changes}
    with pytest.raises(UsageError, match=f"^{said}") as caught:
        save_exits(**given)
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
