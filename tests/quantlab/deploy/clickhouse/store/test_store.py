"""Models in chDB: versions, rollback, what is shared and derived, and images that are wrong."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import Connection, open_chdb
from quantlab.deploy.clickhouse.store import Store
from quantlab.deploy.clickhouse.store.derived import drop, sweep
from quantlab.deploy.clickhouse.store.tables import TABLES
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.file import to_bytes
from quantlab.integer.interpreter import run
from quantlab.integer.operations import Reshape
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from tests.quantlab.deploy.clickhouse.store.toys import scored
from tests.quantlab.integer.programs import Author, inputs

NET = hashlib.sha256(to_bytes(scored(1))).hexdigest()
IMAGES = np.random.default_rng(5).integers(0, 256, (4, 2, 4), np.uint8)


def scores(program: Program, images: Any = IMAGES) -> list[list[int]]:
    values: list[list[int]] = run(program, {"x": images})["y"].tolist()
    return values


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    pytest.importorskip("chdb", reason="no chdb: pip install quantlab[clickhouse]")
    with open_chdb(tmp_path_factory.mktemp("store"), timeout_s=20) as one:
        yield one


def emptied(connection: Connection) -> Store:
    """Return a store without models, as quickly as it can be had."""
    store = Store(connection)
    for name in {model.name for model in store.models()}:
        drop(connection, name)
    for table in TABLES:
        connection.execute(f"TRUNCATE TABLE quantlab.{table}")
    sweep(connection)
    return store


@pytest.fixture
def store(connection: Connection) -> Store:
    """A store without models."""
    return emptied(connection)


@pytest.fixture
def net(connection: Connection) -> Store:
    """A store whose only model is `net`, in version 1, with the scores of `scored(1)`."""
    one = Store(connection)
    if [(m.name, m.version, m.program) for m in one.models()] != [("net", 1, NET)]:
        one = emptied(connection)
        one.load("net", scored(1))
    return one


def in_database(connection: Connection, function: str, kind: str = "FixedString(8)") -> list[Any]:
    """Return what a function makes of all images, which lie in a table."""
    connection.execute("DROP TABLE IF EXISTS images")
    connection.execute(f"CREATE TABLE images (id UInt32, image {kind}) ENGINE = Memory")
    rows = {"id": range(len(IMAGES)), "image": [image.tobytes() for image in IMAGES]}
    connection.insert("images", rows)
    found = connection.execute(f"SELECT {function}(image) AS y FROM images ORDER BY id")["y"]
    return [value.tolist() for value in found]


def counts(connection: Connection) -> dict[str, int]:
    return {
        table: int(connection.execute(f"SELECT count() AS n FROM quantlab.{table}")["n"][0])
        for table in TABLES
    }


def test_versions_are_loaded_rolled_back_and_removed(store: Store, connection: Connection) -> None:
    first, second = scored(1), scored(2)
    assert store.load("net", first).version == 1
    assert in_database(connection, "net_scores") == scores(first)
    assert store.load("net", second).version == 2
    assert in_database(connection, "net_scores") == scores(second)
    assert [(m.name, m.version, m.is_active) for m in store.models()] == [
        ("net", 1, False),
        ("net", 2, True),
    ]
    assert store.rollback("net").version == 1
    assert in_database(connection, "net_scores") == scores(first)
    with pytest.raises(UsageError, match="model 'net': version 1 is active, and none is before it"):
        store.rollback("net")
    assert store.rollback("net", 2).version == 2
    with pytest.raises(UsageError, match="version 2 is active; roll back to another one first"):
        store.remove("net", 2)
    assert [model.version for model in store.remove("net", 1)] == [1]
    assert in_database(connection, "net_scores") == scores(second)
    store.load("net", first)
    store.remove("net", 2)
    assert store.load("net", second).version == 4
    store.remove("net")
    assert set(counts(connection).values()) == {0}
    with pytest.raises(UsageError, match="model 'net' given, none is stored"):
        store.rollback("net")
    with pytest.raises(UsageError, match="does not exist"):
        in_database(connection, "net_scores")
    modules = "SELECT count() AS n FROM system.webassembly_modules"
    assert connection.execute(modules)["n"].tolist() == [0]


def test_loading_again_changes_nothing(net: Store, connection: Connection) -> None:
    model = net.load("net", scored(1))
    before = counts(connection)
    assert net.load("net", scored(1)) == model
    assert counts(connection) == before


def test_equal_layers_are_stored_once(store: Store, connection: Connection) -> None:
    store.load("a", scored(1))
    before = counts(connection)
    store.load("b", scored(1))
    assert counts(connection)["layers"] == before["layers"] == 2
    assert counts(connection)["planes"] == before["planes"] == 3
    store.load("c", scored(2))
    assert counts(connection)["layers"] == 3
    store.remove("a")
    assert store.program("b") is not None
    assert in_database(connection, "b_scores") == scores(scored(1))


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.long) for n in (1, 2))])
def test_a_program_is_read_back_as_it_was(store: Store, connection: Connection, seed: int) -> None:
    program = Author(seed).program(8)
    store.load("random", program)
    assert to_bytes(store.program("random")) == to_bytes(program)
    batch = inputs(program, 3, seed)
    (output,) = program.outputs
    expected = run(program, batch)[output].reshape(3, -1)
    found = connection.execute(
        "SELECT random_scores(image) AS y FROM (SELECT arrayJoin({images:Array(String)}) AS image)",
        {"images": [image.tobytes() for image in batch["x"]]},
    )["y"]
    assert sorted(row.tolist() for row in found) == sorted(expected.tolist())


@pytest.mark.parametrize(
    "name",
    [
        "a'; DROP TABLE quantlab.models; --",
        "",
        "a b",
        "1a",
        "a`b",
        "a.b",
        "\u00e9",
        "a" * 65,
        "a\n",
    ],
)
def test_names_are_words(net: Store, name: str) -> None:
    for call in (
        lambda: net.load(name, scored(1)),
        lambda: net.rollback(name),
        lambda: net.remove(name),
        lambda: net.program(name),
    ):
        with pytest.raises(UsageError, match="letters, digits and '_' allowed") as raised:
            call()
        assert "\n" not in str(raised.value)
    assert [model.name for model in net.models()] == ["net"]


def test_a_load_that_broke_off_leaves_nothing_behind_a_removal(
    store: Store, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: object) -> None:
        raise KeyboardInterrupt

    store.load("net", scored(1))
    with monkeypatch.context() as patch:
        patch.setattr("quantlab.deploy.clickhouse.store.store.store_module", interrupt)
        with pytest.raises(KeyboardInterrupt):
            store.load("net", scored(2))
    store.remove("net")
    assert counts(connection)["planes"] == counts(connection)["model_layers"] == 0


def test_models_that_are_not_there_are_named(net: Store) -> None:
    with pytest.raises(UsageError, match="model 'ent' given, net allowed; did you mean 'net'"):
        net.remove("ent")
    with pytest.raises(UsageError, match="model 'net': version 7 given, 1 allowed"):
        net.rollback("net", 7)


def test_functions_of_others_are_not_replaced(store: Store, connection: Connection) -> None:
    connection.execute("CREATE FUNCTION net_class AS (x) -> x + 1")
    with pytest.raises(UsageError, match="model 'net': the function net_class is there; drop it"):
        store.load("net", scored(1))
    assert store.models() == []
    connection.execute("DROP FUNCTION net_class")


def test_models_whose_names_begin_alike_are_two(store: Store, connection: Connection) -> None:
    store.load("net", scored(1))
    store.load("net_scores", scored(2))
    store.remove("net")
    assert in_database(connection, "net_scores_scores") == scores(scored(2))


def test_the_class_is_the_first_of_the_largest(store: Store, connection: Connection) -> None:
    store.load("net", scored(1, num_classes=5))
    expected = np.argmax(scores(scored(1, num_classes=5)), axis=1).tolist()
    assert in_database(connection, "net_class") == expected
    store.load("net", scored(1, num_classes=1))
    with pytest.raises(UsageError, match="does not exist"):
        in_database(connection, "net_class")


@pytest.mark.parametrize("kind", ["String", "Nullable(FixedString(8))", "LowCardinality(String)"])
def test_images_may_be_of_any_text_type(net: Store, connection: Connection, kind: str) -> None:
    assert in_database(connection, "net_scores", kind) == scores(scored(1))


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("''", "net: images of 8 bytes allowed, not NULL"),
        ("'short'", "net: images of 8 bytes allowed, not NULL"),
        ("'nine bytes'", "too long|images of 8 bytes"),
        ("CAST(NULL AS Nullable(String))", "net: images of 8 bytes allowed, not NULL"),
        ("NULL", "Nothing|images of 8 bytes"),
        ("number", "String and FixedString"),
        ("[1, 2]", "String and FixedString"),
    ],
)
def test_wrong_images_are_one_line(
    net: Store, connection: Connection, image: str, said: str
) -> None:
    with pytest.raises(UsageError, match=said) as raised:
        connection.execute(f"SELECT net_class({image}) AS y FROM numbers(3)")
    assert "\n" not in str(raised.value)
    assert in_database(connection, "net_scores") == scores(scored(1))


def test_an_empty_table_has_no_classes(net: Store, connection: Connection) -> None:
    query = "SELECT net_class(toString(number)) AS y FROM numbers(5) WHERE number > 7"
    assert connection.execute(query)["y"].tolist() == []


def test_a_tensor_that_is_not_there_is_a_trap(net: Store, connection: Connection) -> None:
    with pytest.raises(UsageError, match="the module failed, the table is as it was"):
        connection.execute("SELECT net_tensor(toFixedString('', 8), toUInt16(99)) AS y")
    assert in_database(connection, "net_scores") == scores(scored(1))


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM quantlab.modules WHERE 1",
        "ALTER TABLE quantlab.modules UPDATE code = 'a' WHERE 1 SETTINGS mutations_sync = 2",
        "ALTER TABLE quantlab.modules UPDATE interface = '{}' WHERE 1 SETTINGS mutations_sync = 2",
        "DROP FUNCTION net_scores",
        "DROP FUNCTION net_tensor",
    ],
)
def test_what_is_derived_is_made_anew(net: Store, connection: Connection, damage: str) -> None:
    before = counts(connection)
    connection.execute(damage)
    again = Store(connection)
    assert in_database(connection, "net_scores") == scores(scored(1))
    assert counts(connection) == before
    again.interface("net")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("ALTER TABLE quantlab.planes UPDATE words = [7] WHERE neuron = 1", "its rows have"),
        pytest.param(
            "DELETE FROM quantlab.planes WHERE neuron = 1",
            "2 rows of 'weight', 3 expected",
            marks=pytest.mark.long,
        ),
        ("DELETE FROM quantlab.layers WHERE operation LIKE '%Linear%'", "is missing"),
        pytest.param(
            "ALTER TABLE quantlab.models UPDATE header = '{' WHERE 1",
            "no program can be made",
            marks=pytest.mark.long,
        ),
        (
            "ALTER TABLE quantlab.models UPDATE header = replaceAll(header, 'u8', 's8') WHERE 1",
            "not the program that was loaded",
        ),
    ],
)
def test_parameters_are_checked(
    store: Store, connection: Connection, damage: str, said: str
) -> None:
    store.load("net", scored(1))
    settings = " SETTINGS mutations_sync = 2" if damage.startswith("ALTER") else ""
    connection.execute(damage + settings)
    with pytest.raises(VerificationError, match=said) as raised:
        store.program("net")
    assert "\n" not in str(raised.value)


def test_a_program_that_no_module_holds_leaves_nothing(
    store: Store, connection: Connection
) -> None:
    program = Program(
        inputs={"x": TensorType((8,), U8), "z": TensorType((8,), U8)},
        operations=(Reshape(inputs=("x",), output="y", shape=(2, 4)),),
        outputs=("y",),
    )
    with pytest.raises(UsageError, match="one input allowed"):
        store.load("two", program)
    assert set(counts(connection).values()) == {0}
