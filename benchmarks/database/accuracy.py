"""The top-1 of a network in the database, on all test images; the ratio is that to the integer
program's by the fast engine."""

from collections.abc import Iterator

import numpy as np

from benchmarks.database.workplace import Workplace
from benchmarks.harness import Row
from quantlab.errors import DataError
from quantlab.integer.fast import FastEngine

PEER = "the integer program"


def top1(name: str, count: int, workplace: Workplace) -> Iterator[Row]:
    """Yield the row of a network. Raises DataError where its test images are not here."""
    images = workplace.images(name, count)
    if images.targets is None:
        raise DataError(f"{name}: no test images here")
    program = workplace.program(name)
    (input_name,), (output,) = program.inputs, program.outputs
    engine = FastEngine(program)
    parts = [images.pixels[start : start + 1000] for start in range(0, len(images.pixels), 1000)]
    expected = np.concatenate([engine.run({input_name: part})[output] for part in parts])
    found = workplace.connection.execute(
        f"SELECT {workplace.model(name)}_class(image) AS class FROM "
        f"{workplace.table(name, count)} ORDER BY id"
    )["class"]
    in_database = 100 * float((found == images.targets).mean())
    of_program = 100 * float((expected.argmax(1) == images.targets).mean())
    yield workplace.row(
        "top-1", name, "wasm, classes", images=len(found), value=in_database, unit="%", peer=PEER,
        ratio=in_database / of_program,
    )  # fmt: skip
