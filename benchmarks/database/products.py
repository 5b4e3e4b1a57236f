"""How many products of bytes the modules do in a second: six convolutions 3x3 in a chain.

Inputs of 7 bits, up to 127, and of 8 bits, up to 255. A product is two operations. The whole query
is timed, rows in and out; the ratio is the rate / that of 8 bits.
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.database.speed import query
from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row, interleaved
from quantlab.deploy.clickhouse.store import Store
from quantlab.integer.operations import Convolution, Operation, Requantize, Windows
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType

_LAYERS = 6
_CHANNELS, _SIZE = 32, 16
PEER = "inputs of 8 bits"
SIDES = {PEER: 255, "inputs of 7 bits": 127}


def chain(most: int, seed: int = 0) -> Program:
    """Return the program of six layers whose inputs are 0 to `most`."""
    random = np.random.default_rng(seed)
    shape = (_CHANNELS, _SIZE, _SIZE)
    operations: list[Operation] = [_rescaled("image", "codes0", most, shift=8, factor=most + 1)]
    for number in range(_LAYERS):
        weight = random.integers(-127, 128, (_CHANNELS, _CHANNELS, 3, 3)).astype(np.int8)
        operations += [
            Convolution(
                inputs=(f"codes{number}",), output=f"sums{number}", weight=weight, weight_bits=8,
                bias=random.integers(-999, 999, _CHANNELS).astype(np.int32),
                windows=Windows(kernel=(3, 3), padding=(1, 1, 1, 1)),
                padding_codes=np.zeros(_CHANNELS, np.int32),
            ),
            _rescaled(f"sums{number}", f"codes{number + 1}", most, shift=31, factor=2**20),
        ]  # fmt: skip
    return Program(
        inputs={"image": TensorType(shape, U8)},
        operations=tuple(operations),
        outputs=(f"codes{_LAYERS}",),
    )


def rates(count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the rate of each width of inputs."""
    connection = workplace.connection
    count = min(count, workplace.most_images)
    shape = (_CHANNELS, _SIZE, _SIZE)
    images = np.random.default_rng(1).integers(0, 256, (count, *shape), dtype=np.uint8)
    connection.execute("DROP TABLE IF EXISTS chain_images")
    connection.execute(
        f"CREATE TABLE chain_images (image FixedString({images[0].nbytes})) ENGINE = Memory"
    )
    connection.insert("chain_images", {"image": [image.tobytes() for image in images]})
    sides = {}
    for side, most in SIDES.items():
        model = f"chain_{most}"
        Store(connection).load(model, chain(most))
        text = query(model, "chain_images")
        sides[side] = lambda text=text: connection.execute(text)
    macs = _LAYERS * _CHANNELS**2 * 9 * _SIZE**2
    for side, timing in interleaved(sides, workplace.repeats).items():
        yield workplace.row(
            "int8 products", "", side, images=count, peer=PEER, ratio=timing.ratio,
            value=2 * macs * count / timing.seconds / 1e9, unit="GOP/s",
        )  # fmt: skip


def _rescaled(source: str, output: str, most: int, *, shift: int, factor: int) -> Requantize:
    return Requantize(
        inputs=(source,), output=output, multiplier=np.array(factor), shift=np.array(shift),
        offset=np.array(2 ** (shift - 1)), low=0, high=most, kind=U8,
    )  # fmt: skip
