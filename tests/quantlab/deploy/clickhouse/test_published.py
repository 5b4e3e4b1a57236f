"""Views of an old server: classes of a table, and what is refused."""

from collections.abc import Iterator

import numpy as np
import pytest

from quantlab.deploy.clickhouse.engines import Connection, connect_driver
from quantlab.deploy.clickhouse.published import publish
from quantlab.errors import UsageError
from quantlab.integer.interpreter import run
from quantlab.integer.operations import Convolution, Linear, MaxPool, Reshape, Threshold, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from tests.clickhouse_server import HOST, need_server, running_server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    need_server()
    with (
        running_server(tmp_path_factory.mktemp("server")) as found,
        connect_driver(HOST, found.port) as connection,
    ):
        yield connection


def network(seed: int) -> Program:
    """Return a binary network of a convolution; two of its scores are equal."""
    random = np.random.default_rng(seed)
    weight = random.choice([-1, 1], (3, 36))
    weight[1] = weight[0]
    return Program(
        inputs={"x": TensorType((2, 6, 6), U8)},
        operations=(
            Convolution(
                inputs=("x",),
                output="sums",
                weight=random.choice([-1, 1], (4, 2, 3, 3)),
                weight_bits=1,
                bias=np.zeros(4, int),
                padding_codes=np.array([3, 3]),
                windows=Windows(kernel=(3, 3), padding=(1, 1, 1, 1)),
            ),
            Threshold(
                inputs=("sums",),
                output="codes",
                thresholds=np.zeros((4, 1), int),
                signs=np.ones(4, int),
                low=0,
                step=1,
                kind=U8,
            ),
            MaxPool(
                inputs=("codes",), output="pooled", windows=Windows(kernel=(2, 2), stride=(2, 2))
            ),
            Reshape(inputs=("pooled",), output="flat", shape=(36,)),
            Linear(
                inputs=("flat",),
                output="y",
                weight=weight,
                weight_bits=1,
                bias=np.zeros(3, int),
            ),
        ),
        outputs=("y",),
    )


def test_the_view_has_the_class_of_each_image(server: Connection) -> None:
    server.execute("CREATE TABLE pictures (id UInt32, image FixedString(72)) ENGINE = Memory")
    images = np.random.default_rng(1).integers(0, 256, (40, 2, 6, 6), np.uint8)
    rows = [image.tobytes() for image in images]
    server.insert("pictures", {"id": np.arange(40) * 3, "image": rows})
    ties = 0
    for seed in (0, 1):
        program = network(seed)
        publish("net", program, server, "pictures")
        found = server.execute("SELECT id, class FROM net ORDER BY id")
        scores = run(program, {"x": images})["y"]
        ties += np.count_nonzero(np.ptp(np.sort(scores, axis=1)[:, -2:], axis=1) == 0)
        assert found["id"].tolist() == (np.arange(40) * 3).tolist()
        assert found["class"].tolist() == scores.argmax(1).tolist()
    assert ties
    server.execute("TRUNCATE TABLE pictures")
    assert server.execute("SELECT id, class FROM net")["class"].tolist() == []


@pytest.mark.parametrize("name", ["a'; DROP TABLE x; --", "", "a b"])
def test_names_are_words(server: Connection, name: str) -> None:
    with pytest.raises(UsageError, match="letters, digits and '_' allowed"):
        publish(name, network(0), server)


def test_a_vector_alone_has_a_class(server: Connection) -> None:
    program = network(0)
    other = Program(inputs=program.inputs, operations=program.operations, outputs=("codes",))
    with pytest.raises(UsageError, match="model 'net': one input, and one output of a vector"):
        publish("net", other, server)


def test_a_table_of_images_that_is_not_there_is_one_line(server: Connection) -> None:
    with pytest.raises(UsageError, match=r"(?i)nowhere") as raised:
        publish("net", network(0), server, "nowhere")
    assert "\n" not in str(raised.value)
