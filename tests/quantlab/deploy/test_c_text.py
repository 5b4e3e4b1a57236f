"""Numbers as C, against one number at a time."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from quantlab.deploy.c.runtime_files import RUNTIME, headers_for
from quantlab.deploy.c.text import C_TYPES, array, number

MOST = 96  # letters in a line, commas included


def slowly(values: NDArray[Any]) -> list[str]:
    """Numbers as long as they fit in the line."""
    lines = [""]
    for value in values.tolist():
        text = number(value) + ","
        if lines[-1] and len(lines[-1]) + 1 + len(text) > MOST:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + text
    return [*lines[:-1], lines[-1].rstrip(",")]


@given(st.data(), st.sampled_from([name for name in C_TYPES if "int" in name]))
def test_lines_are_as_full_as_they_can_be(data: st.DataObject, kind: str) -> None:
    ends = np.iinfo(kind)
    integers = st.integers(int(ends.min), int(ends.max))
    values = np.array(data.draw(st.lists(integers, min_size=1, max_size=80)), kind)
    found = array("name", values).splitlines()
    assert [line.removeprefix("    ") for line in found[1:-1]] == slowly(values)


@pytest.mark.parametrize("text", ["", "ql_small layer;", "xql_small y;", "ql_smaller y;"])
def test_headers_are_those_of_whole_names(text: str) -> None:
    assert ("small.h" in headers_for(text)) == (text == "ql_small layer;")


def test_each_structure_has_its_header() -> None:
    assert "} ql_small;" in (RUNTIME / "small.h").read_text(encoding="utf-8")
    assert headers_for("ql_small x; ql_rows y;")[-1] == "small.h"
