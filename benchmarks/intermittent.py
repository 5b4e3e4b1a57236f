"""C that survives power failures, beside the same program on unbroken power.

The network is `digits` of `benchmarks.pruned_digits`, its weights as `auto` chooses them. Tiles are
as large as the names of the rows say, in instructions of a Cortex-M4 as they are estimated; the
last row has the smallest that there are.

flash, arena, stack, instructions: as `quantlab.deploy.c.boards.measure` has them, of an inference
without a failure. tiles: how many there are. largest_tile: the instructions of the largest, as they
are estimated. ticks, longest: loads and stores of an inference on this machine, and the most
between two commits. Row.ratio: own instructions / those of unbroken power.

`python -m tests.benchmarks.intermittent_figures` puts the table into docs/intermittent.md.
"""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.harness import Row, report
from benchmarks.pruned_digits import digits, program_of
from quantlab.deploy.c.boards.measure import measure
from quantlab.deploy.c.boards.selftest import selftest
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.intermittent.schedule import Charges
from quantlab.deploy.c.intermittent.simulate import simulate
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.integer.program import Program

ENGINES = ("c-m3", "c-msp430")
UNBROKEN = "unbroken power"
FORMS: Mapping[str, bool | Power] = {
    UNBROKEN: False,
    "100,000": Power(tile=100_000),
    "10,000": Power(tile=10_000),
    "smallest": Power(tile=1),
}
_MOST_TICKS = 10**9  # more than an inference has


def rows() -> Iterator[Row]:
    """Yield a row for each board and form."""
    program = program_of(digits())
    for engine in ENGINES:
        board, unbroken = BOARDS[engine], 0
        for form, intermittent in FORMS.items():
            model = c_model(program, intermittent=intermittent)
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                write_files(model.files, folder)
                selftest(folder, board)
                found = measure(folder, board)
                ticks, longest = _ticks(program, folder) if intermittent else (0, 0)
            unbroken = unbroken or found.instructions
            said = json.loads(model.files["model.json"]).get("tiles", [])
            yield Row(
                figures={
                    "form": form,
                    "core": board.core,
                    "tiles": sum(one["tiles"] for one in said),
                    "largest_tile": max((one["instructions"] for one in said), default=0),
                    "arena_bytes": model.sizes.arena,
                    "flash_bytes": found.flash_bytes,
                    "stack_bytes": found.stack_bytes,
                    "instructions": found.instructions,
                    "ticks": ticks,
                    "longest": longest,
                },
                peer=UNBROKEN,
                ratio=found.instructions / unbroken,
            )


def _ticks(program: Program, folder: Path) -> tuple[int, int]:
    random = np.random.default_rng(0)
    inputs = {
        name: random.integers(kind.kind.minimum, kind.kind.maximum + 1, kind.shape)
        for name, kind in program.inputs.items()
    }
    codes = {
        name: values.astype(program.inputs[name].kind.dtype) for name, values in inputs.items()
    }
    found = simulate(program, folder, codes, Charges(ticks=_MOST_TICKS))
    return found.ticks, found.longest


def main() -> None:
    report("intermittent", list(rows()))


if __name__ == "__main__":
    main()
