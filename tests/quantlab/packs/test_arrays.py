"""Arrays of operations as numbers; 0.1 s."""

from typing import Any

import pytest

from quantlab.packs.arrays import to_names, to_numbers


def fill(output: object) -> dict[str, Any]:
    return {"Fill": [output, "layer", 0.0]}


def softmax(output: object, read: object) -> dict[str, Any]:
    return {"Softmax": [output, "layer", read, 4, False]}


def test_numbers_count_back() -> None:
    plain = [fill("a"), softmax("b", "x"), softmax("a", "b"), softmax("c", "a")]
    numbered, order = to_numbers(plain, ["x"])
    assert numbered == [fill(0), softmax(0, 2), softmax(2, 1), softmax(0, 2)]
    assert order == ["x", "a", "b", "c"]
    named, names = to_names(numbered, ["x"])
    assert named == [fill("1"), softmax("2", "x"), softmax("1", "2"), softmax("3", "1")]
    assert names == ["x", "1", "2", "3"]


@pytest.mark.parametrize("wrong", [-1, 0, 3, 1.0, True, "x", [1]])
def test_numbers_of_no_array_are_refused(wrong: Any) -> None:
    plain = {"Reduce": [0, "layer", wrong, 4, None]}
    with pytest.raises((TypeError, ValueError)):
        to_names([plain], ["x"])
