"""Which artefact can hold which operation: asked of every one, and written into docs/integer.md.

python -m tests.quantlab.deploy.operation_table
"""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from quantlab.deploy.clickhouse.relational.queries import RELATIONAL, queries_of
from quantlab.deploy.clickhouse.relational.writer import constants_in
from quantlab.deploy.clickhouse.sql.nodes import Table
from quantlab.deploy.clickhouse.wasm import module_of
from quantlab.deploy.table import ARTEFACTS, missing
from quantlab.errors import UsageError
from quantlab.integer.operations import OPERATIONS
from quantlab.integer.program import Program
from tests.quantlab.integer.programs import Author

PAGE = Path(__file__).parents[3] / "docs" / "integer.md"
HEADING = "## Operations and artefacts\n"
_MOST_SEEDS = 100


@cache
def example(kind: str) -> Program:
    """Return a program of one operation of a kind."""
    for seed in range(_MOST_SEEDS):
        program = Author(seed).program(8)
        for operation in program.operations:
            if type(operation).__name__ == kind:
                return Program(
                    inputs={name: program.types[name] for name in operation.inputs},
                    operations=(operation,),
                    outputs=(operation.output,),
                )
    raise LookupError(f"{kind}: in none of {_MOST_SEEDS} random programs; add it to Author")


def refusal(artefact: str, kind: str) -> str | None:
    """Return what an artefact says against an operation, None if it holds it."""
    try:
        files = ARTEFACTS[artefact].files({"network": example(kind)}, {})
    except UsageError as error:
        return str(error)
    assert files
    return None


def begun(kind: str) -> Program:
    """Return a program of one input whose last operation is the first of a kind."""
    for seed in range(_MOST_SEEDS):
        program = Author(seed).program(8)
        for index, operation in enumerate(program.operations):
            if type(operation).__name__ == kind:
                return Program(
                    inputs=program.inputs,
                    operations=program.operations[: index + 1],
                    outputs=(operation.output,),
                )
    raise LookupError(f"{kind}: in none of {_MOST_SEEDS} random programs; add it to Author")


def lowering_refusal(lowering: str, kind: str) -> str | None:
    """Return what a lowering to ClickHouse says against an operation, None if it has it."""
    try:
        LOWERINGS[lowering](begun(kind))
    except UsageError as error:
        return str(error)
    return None


def _relational(program: Program) -> object:
    keys = {one.output: one.output for one in program.operations}
    tables = {name: Table(name) for name in program.types}
    relations = {name: Table(name) for name in RELATIONAL.relations}
    constants = constants_in(relations, RELATIONAL.relations, keys)
    return queries_of(program, tables, constants, RELATIONAL)


LOWERINGS: Mapping[str, Callable[[Program], object]] = {
    "clickhouse-wasm": module_of,
    "clickhouse-relational": _relational,
}


def table() -> str:
    """Return the section of docs/integer.md."""
    names = (*ARTEFACTS, *LOWERINGS)
    lines = [f"| operation | {' | '.join(f'`{name}`' for name in names)} |"]
    lines.append("| --- |" + " --- |" * len(names))
    for kind in sorted(OPERATIONS):
        cells = ["refused" if refusal(name, kind) else "yes" for name in ARTEFACTS]
        cells += ["refused" if lowering_refusal(name, kind) else "yes" for name in LOWERINGS]
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join([HEADING, *lines, ""])


def main() -> None:
    """Put the table into the page, in place of the one before."""
    absent = [name for row in ARTEFACTS.values() for name in missing(row.needs)]
    if absent:
        raise SystemExit(f"operation_table: needs {', '.join(absent)}")
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(HEADING)
    _, separator, after = rest.partition("\n## ")
    PAGE.write_text(before + table() + separator + after, encoding="utf-8")


if __name__ == "__main__":
    main()
