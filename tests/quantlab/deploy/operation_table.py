"""Which artefact can hold which operation: asked of every one, and written into docs/integer.md.

python -m tests.quantlab.deploy.operation_table
"""

from functools import cache
from pathlib import Path

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


def table() -> str:
    """Return the section of docs/integer.md."""
    lines = [f"| operation | {' | '.join(f'`{name}`' for name in ARTEFACTS)} |"]
    lines.append("| --- |" + " --- |" * len(ARTEFACTS))
    for kind in sorted(OPERATIONS):
        cells = ["refused" if refusal(name, kind) else "yes" for name in ARTEFACTS]
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
