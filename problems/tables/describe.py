"""Print what the columns of a CSV file are, as `COLUMNS` of a data.py has them:

python -m problems.tables.describe FILE [DELIMITER]
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from problems.tables.csv_file import read_cells
from quantlab.errors import DataError, QuantLabError, UsageError

_MOST_VALUES = 50  # of a Category


def describe(path: Path, *, delimiter: str = ",") -> Iterator[str]:
    """Yield a line for each column. Raises DataError for a file that cannot be read."""
    header, *rows = [cells for cells, _ in read_cells(path, delimiter=delimiter)] or [[]]
    if not rows:
        raise DataError(f"{path}: no rows below a header")
    for number, name in enumerate(header):
        if header.count(name) > 1:
            yield f"# {name!r}: {header.count(name)} columns of this name"
        else:
            yield _column(name, [row[number] for row in rows if row[number]])


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
        if len(arguments) not in (1, 2):
            count = len(arguments)
            raise UsageError(f"{count} arguments given; FILE or FILE DELIMITER allowed")
        file, delimiter = [*arguments, ","][:2]
        lines = list(describe(Path(file), delimiter=delimiter))
    except QuantLabError as error:
        sys.stderr.write(f"describe: {error}\n")
        return error.exit_code
    sys.stdout.write("".join(f"    {line}\n" for line in lines))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
