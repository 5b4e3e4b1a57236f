"""What runs SQL, whichever engine it is."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from numpy.typing import NDArray

# The values of `{name:Type}` in a query: whole and real numbers, text, bytes, and lists of them.
Parameters = Mapping[str, Any]
# What is inserted: by the names of columns, arrays of numbers or sequences of Python's values.
Values = Mapping[str, Sequence[Any] | NDArray[Any]]
# A table: by the names of its columns, arrays of numbers of the column's own type, or of objects:
# bytes (String, FixedString), lists (Array), None (NULL).
Columns = Mapping[str, NDArray[Any]]


class Connection(Protocol):
    """An engine that is open. Errors are QuantLabError in one line."""

    @property
    def version(self) -> str:
        """The engine's version, such as '26.9.2.1'."""
        ...

    def execute(self, sql: str, parameters: Parameters | None = None) -> Columns:
        """Run one statement; return the columns of its result, none where it has none."""
        ...

    def insert(self, table: str, columns: Values) -> None:
        """Append rows to a table, `database.table`: all of them or, after an error, none."""
        ...

    def close(self) -> None:
        """End it; a second time does nothing."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
