"""Tables in CSV files: UTF-8, a header, one row a line.

Shapes: N rows, F features.
"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from experiments.protocols import Data, InMemory
from problems.tables.columns import Category, Column, Number
from quantlab.errors import DataError, UsageError, did_you_mean


def read_rows(path: Path, columns: Sequence[Column], *, delimiter: str = ",") -> Tensor:
    """Return the features of all rows, float64 `[N, F]`. Other columns do not matter.

    Raises DataError with the line and the column for what cannot be read.
    """
    lines = _lines(path, columns, delimiter)
    features = [_features(columns, cells, place) for cells, place in lines]
    if not features:
        raise DataError(f"{path}: no rows below a header")
    return torch.tensor(features, dtype=torch.float64)


def read_table(
    path: Path,
    columns: Sequence[Column],
    target: Column,
    *,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    delimiter: str = ",",
) -> Data:
    """Return the rows of a file; `test_fraction` of them, drawn with `split_seed`, are for tests.

    Targets are float32 `[N]` without classes for a Number, the places of its values for a Category.
    Raises DataError with the line and the column for what cannot be read.
    """
    if not 0 < test_fraction < 1:
        raise UsageError(f"test_fraction: {test_fraction} given; above 0 and below 1 allowed")
    if target.name in [column.name for column in columns]:
        raise UsageError(f"column '{target.name}': the target given as a feature too")
    features: list[list[float]] = []
    targets: list[float] = []
    for cells, place in _lines(path, (*columns, target), delimiter):
        features.append(_features(columns, cells, place))
        targets.append(_target(target, cells[-1], place))
    num_test = max(1, round(test_fraction * len(targets)))
    if len(targets) < 2:
        raise DataError(f"{path}: {len(targets)} rows; at least 2 needed, to train and to test")
    if num_test >= len(targets):
        few = f"{len(targets)} rows; test_fraction {test_fraction} leaves none to train"
        raise DataError(f"{path}: {few}")
    order = torch.from_numpy(np.random.default_rng(split_seed).permutation(len(targets)))
    inputs = torch.tensor(features, dtype=torch.float64)
    is_class = isinstance(target, Category)
    wanted = torch.tensor(targets, dtype=torch.int64 if is_class else torch.float32)
    train, test = (
        InMemory(
            inputs=inputs[part],
            targets=wanted[part],
            classes=target.values if isinstance(target, Category) else (),
        )
        for part in (order[num_test:].sort().values, order[:num_test].sort().values)
    )
    return Data(train=train, test=test, source=f"{len(targets)} rows of {path}")


def read_cells(path: Path, *, delimiter: str = ",") -> Iterator[tuple[list[str], str]]:
    """Yield the cells of the header and of each row, all as many, and what to call the line.

    Raises DataError for a file that is no such table.
    """
    if len(delimiter) != 1:
        raise UsageError(f"delimiter: {delimiter!r} given; one character allowed")
    num_cells = 0
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            for cells in reader:
                if not cells:
                    continue
                place = f"{path}:{reader.line_num}"
                num_cells = num_cells or len(cells)
                if len(cells) != num_cells:
                    raise DataError(f"{place}: {len(cells)} cells; the header has {num_cells}")
                yield [cell.strip() for cell in cells], place
    except FileNotFoundError as error:
        raise DataError(f"{path}: missing; put the table there") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error


def _lines(
    path: Path, columns: Sequence[Column], delimiter: str
) -> Iterator[tuple[list[str], str]]:
    """Yield the cells of these columns for each row, and what to call the row."""
    lines = read_cells(path, delimiter=delimiter)
    header, _ = next(lines, ([], ""))
    places = [_place(path, header, column.name) for column in columns]
    for cells, place in lines:
        yield [cells[number] for number in places], place


def _place(path: Path, header: Sequence[str], name: str) -> int:
    if header.count(name) != 1:
        hint = did_you_mean(name, header) if name not in header else ""
        raise DataError(
            f"{path}: {header.count(name)} columns named '{name}', 1 needed; the header has "
            f"{', '.join(header) or 'nothing'}{hint}"
        )
    return header.index(name)


def _features(columns: Sequence[Column], cells: Sequence[str], place: str) -> list[float]:
    try:
        read = [column.read(cell) for column, cell in zip(columns, cells, strict=False)]
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
    return [number for numbers in read for number in numbers]


def _target(column: Column, cell: str, place: str) -> float:
    try:
        return column.number(cell) if isinstance(column, Number) else column.position(cell)
    except DataError as error:
        raise DataError(f"{place}: {error}") from error
