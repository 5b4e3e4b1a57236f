"""Budgets in numbers and words."""

import pytest

from quantlab.compression.budget import Budget, budget_of
from quantlab.errors import UsageError


@pytest.mark.parametrize(
    ("given", "expected"),
    [(20000, 20000), ("20000", 20000), ("20 KB", 20000), ("1.5 KiB", 1536), ("2_000 B", 2000)],
)
def test_flash_is_read(given: int | str, expected: int) -> None:
    assert budget_of(given).flash_bytes == expected


@pytest.mark.parametrize("given", [0, -1, "0 KB", "KB", "12 XB", "", True, 1.5, None, []])
def test_others_are_one_line(given: object) -> None:
    with pytest.raises(UsageError, match="budget") as error:
        budget_of(given)
    assert "\n" not in str(error.value)


def test_one_of_both_is_needed() -> None:
    with pytest.raises(UsageError, match="neither flash nor ram"):
        Budget()
    assert Budget(ram="4 KiB").ram_bytes == 4096
