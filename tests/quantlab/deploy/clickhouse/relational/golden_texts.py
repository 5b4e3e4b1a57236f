"""The texts of queries that the tests compare with:

python -m tests.quantlab.deploy.clickhouse.relational.golden_texts
"""

from pathlib import Path

from quantlab.deploy.clickhouse.relational.audit import audit
from quantlab.deploy.clickhouse.relational.queries import queries_of
from quantlab.deploy.clickhouse.relational.relations import RELATIONS
from quantlab.deploy.clickhouse.relational.stored import stored_constants
from quantlab.deploy.clickhouse.relational.writer import constants_in
from quantlab.deploy.clickhouse.sql.dialect import LEGACY, MODERN, Dialect
from quantlab.deploy.clickhouse.sql.nodes import Table
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.deploy.clickhouse.store.tables import DATABASE
from quantlab.integer.program import Program
from tests.quantlab.deploy.clickhouse.relational.tiny import binary_program, whole_program

TABLES = {name: Table(name) for name in RELATIONS}
FOLDER = Path(__file__).parent / "golden"
PROGRAMS = {"binary": binary_program, "whole": whole_program}
DIALECTS = {dialect.name: dialect for dialect in (MODERN, LEGACY)}


def text_of(program: Program, dialect: Dialect) -> str:
    """Return the queries of a program with their parameters in comments."""
    sources = {name: Table(f"tensor_{number}") for number, name in enumerate(program.types)}
    keys = {operation.output: f"layer {n}" for n, operation in enumerate(program.operations)}
    found = []
    for name, statement in queries_of(
        program, sources, constants_in(TABLES, RELATIONS, keys)
    ).items():
        query = render(statement, dialect)
        found.append(f"-- {name}: {dict(query.parameters)}\n{query.text}")
    return "\n".join(found)


def audit_text() -> str:
    """Return an audit of a neuron from the parameters of a store."""
    program = binary_program()
    keys = {operation.output: f"layer {n}" for n, operation in enumerate(program.operations)}
    sources = {"x": Table("x"), "bits": Table("bits")}
    constants = stored_constants(keys, DATABASE)
    statement = audit(program, "sums", 7, 2, sources=sources, constants=constants)
    query = render(statement, MODERN)
    return f"-- {dict(query.parameters)}\n{query.text}"


def path_of(program: str, dialect: str) -> Path:
    return FOLDER / f"{program}_{dialect}.sql"


if __name__ == "__main__":
    for name, program_of in PROGRAMS.items():
        for dialect in DIALECTS.values():
            path_of(name, dialect.name).write_text(text_of(program_of(), dialect))
    path_of("audit", MODERN.name).write_text(audit_text())
