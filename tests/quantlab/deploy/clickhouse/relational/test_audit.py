"""The audit of an element: one query, from the image or from the tensor before it."""

from collections.abc import Iterator

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.deploy.clickhouse.relational.audit import audit, evidence
from quantlab.deploy.clickhouse.relational.engine import RelationalEngine
from quantlab.deploy.clickhouse.relational.relations import RELATIONS
from quantlab.deploy.clickhouse.relational.writer import constants_in
from quantlab.deploy.clickhouse.sql.dialect import MODERN
from quantlab.deploy.clickhouse.sql.nodes import Select, Step, Table
from quantlab.deploy.clickhouse.sql.render import render
from quantlab.errors import UsageError
from quantlab.integer.program import Program
from tests.quantlab.deploy.clickhouse.relational.tiny import binary_program, images, whole_program

pytest.importorskip("chdb", reason="chDB is not installed; install quantlab[clickhouse]")


@pytest.fixture(scope="module")
def chdb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    with open_chdb(tmp_path_factory.mktemp("chdb")) as connection:
        yield connection


def audited(
    engine: RelationalEngine,
    chdb: Connection,
    program: Program,
    name: str,
    element: int,
    *given: str,
) -> dict[str, list[int]]:
    """Return the row of an element of sample 2, from the tensors given."""
    sources = {one: engine.tables[one] for one in given}
    query = audit(program, name, element, 2, sources=sources, constants=engine.constants)
    text = render(query, MODERN)
    found = chdb.execute(text.text, text.parameters)
    return {column: values.tolist() for column, values in found.items()}


WHOLE = pytest.param(whole_program(), marks=pytest.mark.long)


@pytest.mark.parametrize("program", [binary_program(), WHOLE])
def test_elements_from_the_image(program: Program, chdb: Connection) -> None:
    check_elements(program, chdb, is_layer_alone=False)


@pytest.mark.parametrize("program", [binary_program(), whole_program()])
def test_elements_from_the_tensors_before(program: Program, chdb: Connection) -> None:
    check_elements(program, chdb, is_layer_alone=True)


def check_elements(program: Program, chdb: Connection, *, is_layer_alone: bool) -> None:
    samples, random = images(program, 3), np.random.default_rng(1)
    engine = RelationalEngine(program, chdb, MODERN)
    found = dict(engine.execute(samples))
    for operation in program.operations if is_layer_alone else program.operations[-1:]:
        tensor = found[operation.output][2].reshape(-1)
        element = int(random.integers(tensor.size))
        given = {*program.inputs, *(operation.inputs if is_layer_alone else ())}
        row = {"sample": [2], "element": [element], "value": [int(tensor[element])]}
        assert audited(engine, chdb, program, operation.output, element, *given) == row


def test_a_changed_bias_is_seen(chdb: Connection) -> None:
    program = binary_program()
    engine = RelationalEngine(program, chdb, MODERN)
    before = dict(engine.execute(images(program, 3)))["scores"][2]
    (last,) = [one for one in program.operations if one.output == "scores"]
    biases = table_of(engine.constants("biases", last, {}))
    chdb.execute(f"INSERT INTO {biases} (layer, neuron, bias) VALUES ('layer 5', 1, 1000)")
    found = audited(engine, chdb, program, "scores", 1, "row", "x")
    assert found["value"] == [before[1] + 1000]


def table_of(step: Step) -> str:
    assert isinstance(step.rows, Select)
    assert isinstance(step.rows.source, Table)
    return step.rows.source.name


@pytest.mark.parametrize(
    ("program", "part"), [(binary_program(), "word"), (whole_program(), "channel")]
)
def test_terms_of_a_neuron_are_its_products(program: Program, part: str, chdb: Connection) -> None:
    engine = RelationalEngine(program, chdb, MODERN)
    found = dict(engine.execute(images(program, 3)))["sums"]
    (layer,) = [one for one in program.operations if one.output == "sums"]
    sources = {name: engine.tables[name] for name in ("x", *layer.inputs)}
    element = int(np.ravel_multi_index((2, 3, 4), found.shape[1:]))
    query = render(
        evidence(program, "sums", element, 2, sources=sources, constants=engine.constants), MODERN
    )
    rows = chdb.execute(query.text, query.parameters)
    assert rows["term"].sum() + int(layer.constants()["bias"][2]) == found[2, 2, 3, 4]
    assert set(rows["neuron"].tolist()) == {2}
    places = list(zip(rows["tap"].tolist(), rows[part].tolist(), strict=True))
    assert len(set(places)) == len(places) > 1


def test_a_tensor_without_terms_is_refused() -> None:
    program = binary_program()
    keys = {operation.output: "" for operation in program.operations}
    tables = {name: Table(name) for name in RELATIONS}
    constants = constants_in(tables, RELATIONS, keys)
    with pytest.raises(UsageError, match="'codes' given, a sum of products allowed: sums, scores"):
        evidence(program, "codes", 0, 0, sources={"x": Table("x")}, constants=constants)


@pytest.mark.parametrize(
    ("tensor", "element", "sample", "words"),
    [
        ("score", 0, 0, "tensor 'score' given, .* did you mean 'scores'"),
        ("scores", 4, 0, "element: 4 of 'scores' given, 0 to 3 allowed"),
        ("scores", -1, 0, "element: -1 of 'scores' given"),
        ("scores", 0, 2**32, "sample: 4294967296 of 'scores' given"),
        ("scores", True, 0, "element: a bool given"),
    ],
)
def test_what_is_not_there_is_refused(tensor: str, element: int, sample: int, words: str) -> None:
    program = binary_program()
    constants = constants_in({}, RELATIONS, {})
    with pytest.raises(UsageError, match=words):
        audit(program, tensor, element, sample, sources={"x": Table("x")}, constants=constants)
