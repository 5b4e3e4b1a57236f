import pytest
import torch

from problems.tables.columns import Category, Number, standardization
from quantlab.errors import DataError, UsageError

PRICE = Number(name="price", mean=10.0, std=4.0)
REGION = Category(name="region", values=("north", "south"))


def test_features_of_cells() -> None:
    assert PRICE.read("7.5") == (7.5,)
    assert PRICE.read("") == (10.0,)
    assert REGION.read("south") == (0.0, 1.0)
    assert REGION.read("") == (0.5, 0.5)
    assert PRICE.features + REGION.features == ("price", "region=north", "region=south")
    assert REGION.position("south") == 1


def test_what_is_missing_is_the_middle_of_the_grid() -> None:
    from problems.tables.standardize import standardize

    columns = (PRICE, REGION)
    row = torch.tensor([[*PRICE.read(""), *REGION.read("")]], dtype=torch.float64)
    assert standardize(row, standardization(columns)).tolist() == [[0.0, 0.0, 0.0]]


def test_targets_there_and_back() -> None:
    values = torch.tensor([2.0, 10.0, 14.0])
    assert PRICE.scaled(values).tolist() == [-2.0, 0.0, 1.0]
    assert torch.equal(PRICE.restored(PRICE.scaled(values)), values)


@pytest.mark.parametrize("cell", ["ten", "nan", "inf", "1,5", "-"])
def test_what_is_no_number(cell: str) -> None:
    with pytest.raises(DataError, match=f"column 'price': '{cell}' given, a finite number allowed"):
        PRICE.read(cell)


def test_what_is_none_of_the_values() -> None:
    with pytest.raises(
        DataError, match=r"'nort' given; allowed: north, south; did you mean 'north'\?"
    ):
        REGION.read("nort")


@pytest.mark.parametrize("std", [0.0, -1.0, float("nan"), float("inf")])
def test_columns_that_cannot_be(std: float) -> None:
    with pytest.raises(UsageError, match=f"column 'price': std {std} given, a finite one above 0"):
        Number(name="price", mean=1.0, std=std)
    with pytest.raises(UsageError, match="column 'price': mean nan given"):
        Number(name="price", mean=float("nan"), std=1.0)
    for values in ((), ("a", "a"), ("a", "")):
        with pytest.raises(UsageError, match=r"'region': values .* given, at least one"):
            Category(name="region", values=values)
