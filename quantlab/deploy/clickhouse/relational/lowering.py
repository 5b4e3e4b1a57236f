"""What makes queries of programs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from quantlab.deploy.clickhouse.relational.relations import Kinds, Rows
from quantlab.integer.layout.levels import Levels
from quantlab.integer.operations import Operation

RowsOf = Callable[[Operation, Mapping[str, Levels]], Mapping[str, Rows]]


@dataclass(frozen=True, kw_only=True)
class Lowering:
    """See the module.

    emit: adds an operation's query to a Writer. rows_of: an operation's constants, by the names of
    `relations`, without their column `layer`; see `constants`. relations: the columns of each
    table. value: the type of a tensor's values.
    """

    emit: Callable[[Operation, Any], None]
    rows_of: RowsOf
    relations: Mapping[str, Kinds]
    value: str

    @property
    def tensor(self) -> Kinds:
        """The columns of a tensor."""
        return {"sample": "UInt32", "element": "UInt32", "value": self.value}
