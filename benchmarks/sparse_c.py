"""Networks with many weights that are zero as C, on emulated microcontrollers.

`digits` is two convolutions of 3x3 (1-16-32 channels, each with ReLU and max pooling) and two fully
connected layers (512-64-10) for images of 16x16. Its weights are normal random ones, those of the
least magnitude are pruned: 88, 34, 6 and 48 % of the four layers' are left, as where it was trained
to fit in 5 KB. `digits, 4 bits` has a tenth of each layer's left, with 4 bits each. What is
measured depends on the densities and on how often each value occurs. `MobileNetV1` is MLPerf
Tiny's, whose file has zeros for 83 % of the weights. BakeNN 1.0 has one form of weights, in 8 bits;
it quantizes the digits network itself.

encoding: of our weights, see docs/c.md. weight_bytes: of all weights as they are stored, BakeNN's
as bytes. flash, arena, stack, instructions: as in `benchmarks.microcontrollers`. Row.ratio:
BakeNN's instructions / own instructions.

`python -m tests.benchmarks.sparse_figures` puts the table into docs/c.md.
"""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.boards import Sources, cost, sources_of
from benchmarks.c_peers import bakenn_cmsis_nn, bakenn_of_torch, bakenn_portable
from benchmarks.harness import Row, report
from benchmarks.pruned_digits import A_TENTH, digits, program_of, samples
from benchmarks.reference_networks import NETWORKS, folder
from benchmarks.tflite import read
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.integer.program import Program

ENCODINGS = ("dense", "csr", "auto", "smallest")
OF_4_BITS = ("dense", "bits4", "csr", "delta4", "nibbles", "rice", "auto", "smallest")
MOBILE_NET = "MobileNetV1"


def num_weights(program: Program) -> int:
    """Return how many weights there are."""
    return sum(
        weight.size
        for weight in (getattr(operation, "weight", None) for operation in program.operations)
        if weight is not None
    )


def rows_of(
    name: str,
    engine: str,
    peer: str,
    program: Program,
    theirs: Sources,
    encodings: Sequence[str] = ENCODINGS,
) -> Iterator[Row]:
    """Yield the rows of a network on a board: BakeNN's, then ours with each encoding."""
    board = BOARDS[engine]
    peers = cost(board, theirs)
    shared = {"network": name, "core": board.core}

    def row(side: str, weight_bytes: int, sources: Sources) -> Row:
        found = peers if sources is theirs else cost(board, sources)
        return Row(
            figures={
                **shared,
                "side": side,
                "weight_bytes": weight_bytes,
                "flash_bytes": found.flash_bytes,
                "arena_bytes": sources.arena_bytes,
                "stack_bytes": found.stack_bytes,
                "instructions": found.instructions,
            },
            peer=peer,
            ratio=peers.instructions / found.instructions,
        )

    yield row(peer, num_weights(program), theirs)
    for encoding in encodings:
        with tempfile.TemporaryDirectory() as directory:
            test, model = Path(directory) / "test", Path(directory) / "model"
            cost(board, sources_of(program, test, encoding=encoding, is_test=True))
            sources = sources_of(program, model, encoding=encoding)
            manifest = json.loads((model / "model.json").read_text(encoding="utf-8"))
            num_bytes = sum(one["bytes"] for one in manifest["weights"].values())
            yield row(f"QuantLab, {encoding}", num_bytes, sources)


def rows() -> Iterator[Row]:
    """Yield all rows."""
    with tempfile.TemporaryDirectory() as directory:
        given = Path(directory)
        theirs = bakenn_of_torch(digits(), list(samples()[:, None]), given / "digits")
        program = program_of(digits())
        yield from rows_of("digits", "c-m3", "BakeNN, plain C", program, theirs)
        few, name = digits(A_TENTH), "digits, 4 bits"
        theirs = bakenn_of_torch(few, list(samples()[:, None]), given / "few")
        program = program_of(few, weight_bits=4)
        yield from rows_of(name, "c-m3", "BakeNN, plain C", program, theirs, OF_4_BITS)
        file = folder() / NETWORKS[MOBILE_NET]
        patched, program = folder() / "patched" / NETWORKS[MOBILE_NET], read(file).program
        theirs = bakenn_portable(patched, given / "portable")
        yield from rows_of(MOBILE_NET, "c-m3", "BakeNN, plain C", program, theirs)
        theirs = bakenn_cmsis_nn(patched, given / "cmsis")
        yield from rows_of(MOBILE_NET, "c-m4", "BakeNN, CMSIS-NN", program, theirs)


def main() -> None:
    report("sparse_c", list(rows()))


if __name__ == "__main__":
    main()
