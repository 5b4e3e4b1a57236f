"""The queries of a program as they grow."""

from collections.abc import Callable, Mapping
from functools import cached_property

import numpy as np

from quantlab.deploy.clickhouse.relational.lowering import Lowering
from quantlab.deploy.clickhouse.relational.relations import Kinds
from quantlab.deploy.clickhouse.sql.functions import call
from quantlab.deploy.clickhouse.sql.nodes import (
    Column,
    Expression,
    Named,
    Select,
    Source,
    Step,
    Table,
    Value,
)
from quantlab.integer.layout.levels import Levels, levels_of
from quantlab.integer.operations import Operation
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import TensorType

# The rows of an operation in a table, at chosen coordinates of its columns, by their names.
Constants = Callable[[str, Operation, Mapping[str, int]], Step]
ALL: Mapping[str, int] = {}


class Writer:
    """See the module.

    sources: where the tensors that exist lie, by name, each input at least; others are steps of the
    query. constants: returns the rows of an operation in a table of the lowering. chosen: an
    element of tensors, by name, where one alone is wanted: their queries may leave out others.
    queries, products: those added, by the names of outputs; the latter of sums of products: each
    term with what it is made of.
    """

    def __init__(
        self,
        program: Program,
        sources: Mapping[str, Source],
        constants: Constants,
        lowering: Lowering,
        chosen: Mapping[str, int],
    ) -> None:
        self.program = program
        self.queries: dict[str, Select] = {}
        self.products: dict[str, Select] = {}
        self._sources, self._constants = sources, constants
        self._lowering, self._chosen = lowering, chosen

    @cached_property
    def levels(self) -> Mapping[str, Levels]:
        """Which integers each tensor can have."""
        return levels_of(self.program)

    def types(self, operation: Operation) -> list[TensorType]:
        """Return the types of an operation's inputs."""
        return [self.program.types[name] for name in operation.inputs]

    def source(self, name: str) -> Source:
        """Return the rows of a tensor."""
        return self._sources.get(name) or Step(f"made_{name}", self.queries[name], is_kept=True)

    def samples(self) -> Step:
        """Return the samples, each once."""
        source = self.source(next(iter(self.program.inputs)))
        return step("samples", columns("sample"), source, is_distinct=True)

    def constants(
        self, relation: str, operation: Operation, chosen: Mapping[str, int] = ALL
    ) -> Step:
        """Return the rows of an operation in a table of the lowering, without the column `layer`.

        chosen: the coordinates that alone are wanted, by the names of columns.
        """
        return self._constants(relation, operation, chosen)

    def chosen(self, operation: Operation, axes: Mapping[str, int]) -> Mapping[str, int]:
        """Return the coordinates of the element that alone is wanted, by name; none for all.

        axes: the sizes of the output, seen as so many axes.
        """
        if operation.output not in self._chosen:
            return {}
        places = np.unravel_index(self._chosen[operation.output], tuple(axes.values()))
        return {name: int(place) for name, place in zip(axes, places, strict=True)}

    def tensor(
        self, operation: Operation, source: Source, element: Expression, value: Expression
    ) -> None:
        """Add an operation's query: the elements and values of the rows of a source."""
        made = columns("sample", element=element, value=call(f"to{self._lowering.value}", value))
        self.queries[operation.output] = Select(columns=made, source=source)


def constants_in(
    tables: Mapping[str, Table], relations: Mapping[str, Kinds], keys: Mapping[str, str]
) -> Constants:
    """Return constants that lie in tables. keys: what the column `layer` has, by the name of an
    operation's output."""

    def constants(relation: str, operation: Operation, chosen: Mapping[str, int]) -> Step:
        names = [name for name in relations[relation] if name != "layer"]
        key = Value("layer", "String", keys[operation.output])
        is_of_layer = Column("layer").equals(key)
        where = (is_of_layer, *at(chosen, *chosen))
        return step(f"layer_{relation}", columns(*names), tables[relation], where=where)

    return constants


def step(
    name: str,
    made: tuple[Named, ...],
    source: Source,
    *,
    where: tuple[Expression, ...] = (),
    group_by: tuple[str, ...] = (),
    is_distinct: bool = False,
) -> Step:
    """Return a selection by a name."""
    rows = Select(
        columns=made, source=source, where=where, group_by=group_by, is_distinct=is_distinct
    )
    return Step(name, rows)


def narrowed(given: Step, chosen: Mapping[str, int], *axes: str) -> Step:
    """Return the rows at chosen coordinates along axes; all where none is chosen."""
    where = at(chosen, *axes)
    if not where:
        return given
    first = given.rows if isinstance(given.rows, Select) else given.rows.parts[0]
    kept = columns(*(column.name for column in first.columns))
    return step(f"chosen_{given.name}", kept, given, where=where)


def at(chosen: Mapping[str, int], *axes: str) -> tuple[Expression, ...]:
    """Return the conditions of chosen coordinates along axes."""
    return tuple(
        Column(axis).equals(Value(axis, "UInt32", chosen[axis])) for axis in axes if axis in chosen
    )


def columns(*names: str, **expressions: Expression) -> tuple[Named, ...]:
    """Return the columns of a selection: those kept, then those computed, by name."""
    kept = [Column(name).named(name) for name in names]
    return (*kept, *(expression.named(name) for name, expression in expressions.items()))
