"""ClickHouse's WebAssembly beside PyTorch in float32, the same network, one thread.

The query sums hashes of all scores, so that ClickHouse computes them and returns one number;
another sums the classes, by the function that users call, which checks its images. PyTorch takes
images that are normalized already, 100 at a time, its batch norms folded. The ratio is PyTorch's
time / the time of the query, parsing and reading included.
"""

from collections.abc import Callable, Iterator

import torch

from benchmarks.database.programs import float_network, network_named
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row, interleaved

_CHUNK = 100


def query(model: str, table: str, settings: str = "max_threads = 1") -> str:
    """Return the query that computes the scores of a table and returns one number."""
    scores = f"{model}_tensor(image, toUInt16(0))"
    return f"SELECT sum(cityHash64({scores})) AS x FROM {table} SETTINGS {settings}"


def class_query(model: str, table: str) -> str:
    """Return the query that classifies a table."""
    return f"SELECT sum({model}_class(image)) AS x FROM {table} SETTINGS max_threads = 1"


def torch_side(name: str, workplace: Workplace, count: int) -> Callable[[], object]:
    """Return the network in PyTorch on so many images."""
    network = float_network(name)
    pixels = torch.from_numpy(workplace.images(name, count).pixels)
    inputs = network_named(name).library.preprocess.evaluate(pixels).split(_CHUNK)

    def run() -> None:
        with torch.inference_mode():
            for chunk in inputs:
                network(chunk)

    return run


def beside_torch(name: str, counts: tuple[int, ...], workplace: Workplace) -> Iterator[Row]:
    """Yield a row for each batch size and side."""
    torch.set_num_threads(1)
    model, execute = workplace.model(name), workplace.connection.execute
    for count in counts:
        table = workplace.table(name, count)
        num_images = len(workplace.images(name, count).pixels)
        peer = f"PyTorch {torch.__version__} float32"
        sides: dict[str, Callable[[], object]] = {
            peer: torch_side(name, workplace, count),
            "wasm": lambda table=table: execute(query(model, table)),
            "wasm, classes": lambda table=table: execute(class_query(model, table)),
        }
        for side, timing in interleaved(sides, workplace.repeats, seconds=0.05).items():
            yield workplace.row(
                "speed", name, side, images=num_images, peer=peer, ratio=timing.ratio,
                value=timing.seconds / num_images * 1e6, unit="us an image",
            )  # fmt: skip
