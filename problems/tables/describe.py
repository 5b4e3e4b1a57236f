"""Print what the columns of a CSV file are, as `COLUMNS` of a data.py has them:

python -m problems.tables.describe FILE
"""

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from quantlab.errors import DataError, QuantLabError, UsageError

_MOST_VALUES = 50  # of a Category


def describe(path: Path) -> Iterator[str]:
    """Yield a line for each column. Raises DataError for a file that cannot be read."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header, *rows = [row for row in csv.reader(file, strict=True) if row] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    if not rows:
        raise DataError(f"{path}: no rows below a header")
    for number, name in enumerate(header):
        cells = [row[number].strip() for row in rows if number < len(row)]
        yield _column(name.strip(), [cell for cell in cells if cell])


def _column(name: str, cells: Sequence[str]) -> str:
    try:
        numbers = np.array(cells, dtype=np.float64)
    except ValueError:
        values = sorted(set(cells))
        if len(values) > _MOST_VALUES:
            return f"# {name!r}: {len(values)} different texts"
        return f"Category(name={name!r}, values={tuple(values)!r}),"
    if not len(numbers) or not np.isfinite(numbers).all() or not numbers.std():
        return f"# {name!r}: no two different finite numbers"
    return f"Number(name={name!r}, mean={numbers.mean():.6g}, std={numbers.std():.6g}),"


def main(arguments: Sequence[str]) -> int:
    """Print the lines of a file; return the exit code."""
    try:
        if len(arguments) != 1:
            raise UsageError(f"{len(arguments)} files given; 1 allowed")
        lines = list(describe(Path(arguments[0])))
    except QuantLabError as error:
        sys.stderr.write(f"describe: {error}\n")
        return error.exit_code
    sys.stdout.write("".join(f"    {line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
