"""`main.py verify`: the proof that what is deployed computes what was trained."""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from numpy.typing import NDArray
from rich.markup import escape
from rich.table import Table
from torch import Tensor

from experiments.agreement import Agreement, agreement
from experiments.artefacts import engines_of
from experiments.certificate import certificate
from experiments.command_line import Invocation
from experiments.commands.conduct import load_data
from experiments.commands.restored import restore
from experiments.deployment import program_of
from experiments.progress import Steps, console
from experiments.runs.files import storage_error, write_json
from experiments.samples import raw_batches, raw_samples
from experiments.session import local_session
from experiments.torchvision_networks import calibrated
from quantlab.deploy.table import engines_named
from quantlab.errors import UsageError
from quantlab.integer.program import Program
from quantlab.integer.verify import Comparison, Engine, compare

CERTIFICATE = "certificate.json"
_NUM_SAMPLES, _NUM_PHOTOS, _BATCH_SIZE = 1000, 8, 50


def run(invocation: Invocation) -> int:
    """Lower the network, run every back end on real samples, write the certificate."""
    is_run = not invocation.has("torchvision")
    backends = engines_named(invocation.options.get("backends"))
    default = _NUM_SAMPLES if is_run else _NUM_PHOTOS
    count = invocation.number("samples") if invocation.has("samples") else default
    return (
        _of_run(invocation, backends, count)
        if is_run
        else _of_torchvision(invocation, backends, count)
    )


def _of_torchvision(invocation: Invocation, backends: list[str], count: int) -> int:
    name, folder = invocation.options["torchvision"], Path(invocation.options["images"])
    found = calibrated(name, folder, count)
    with TemporaryDirectory() as artefacts:
        running = engines_of(backends, found.program, Path(artefacts))
        comparisons = _compared(found.program, running, found.photos, 2)
    _print_table(comparisons)
    console.print(f"{name}: {len(found.program.operations)} operations", markup=False)
    for comparison in comparisons:
        comparison.check()
    return 0


def _of_run(invocation: Invocation, backends: list[str], count: int) -> int:
    num_tested = _num_tested(invocation, count)
    restored = restore(invocation)
    folder = restored.artefacts
    # Whatever ends this early, no certificate of an earlier time may stand for it.
    _remove(folder / CERTIFICATE)
    data = load_data(restored.problem, restored.config, local_session())
    program = program_of(restored.network, restored.library, data)
    running = engines_of(backends, program, folder)
    images, targets = raw_samples(data.test, restored.library, count)
    comparisons = _compared(program, running, images, _BATCH_SIZE)
    num_tested = min(num_tested or len(data.test), len(data.test))
    tested: Iterable[tuple[Tensor, Tensor]]
    if num_tested == len(images):  # then they are the same, and not read again
        tested = zip(images.split(_BATCH_SIZE), targets.split(_BATCH_SIZE), strict=True)
    else:
        tested = raw_batches(data.test, restored.library, num_tested, _BATCH_SIZE)
    with Steps(num_tested, 0, is_shown=True) as progress:
        found = agreement(
            restored.network,
            restored.library.preprocess.evaluate,
            program,
            tested,
            say=lambda done: progress.advance(done, "testing"),
        )
    identity = {"run": restored.folder.name, "checkpoint": restored.checkpoint}
    whole = identity | certificate(program, images, comparisons, found)
    write_json(folder / CERTIFICATE, whole)
    _print_table(comparisons)
    _print_agreement(found)
    console.print(f"certificate: {folder / CERTIFICATE}", markup=False)
    for comparison in comparisons:
        comparison.check()
    return 0


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error


def _num_tested(invocation: Invocation, count: int) -> int | None:
    """Return how many images both networks are compared on; None for all."""
    if not invocation.has("tested"):
        return count
    if invocation.options["tested"] == "all":
        return None
    number = invocation.number("tested")
    if number < 1:
        raise UsageError(f"--tested={number}: at least 1, or all, allowed")
    return number


def _compared(
    program: Program, engines: Mapping[str, Engine], images: Tensor, batch_size: int
) -> list[Comparison]:
    """Run the back ends on images, with a bar."""
    with Steps(len(images), 0, is_shown=True) as progress:
        return compare(program, engines, _batches(images, batch_size, progress))


def _batches(images: Tensor, size: int, progress: Steps) -> Iterator[Mapping[str, NDArray[Any]]]:
    done = 0
    for part in images.split(size):
        yield {"input": part.numpy()}
        done += len(part)
        progress.advance(done, "verifying")


def _print_agreement(found: Agreement) -> None:
    console.print(
        f"top-1 of {found.num_images:,} images: integers {found.integer_top1:.2f} %, "
        f"fake-quantized {found.fake_quantized_top1:.2f} %; the same class for "
        f"{found.same_class:.2f} %"
    )
    path, share = found.most_other_codes
    if path:
        # Rounded up: what differs is never shown as nothing.
        most = f"at most {math.ceil(1000 * share) / 1000:.3f} %, at {path}" if share else "none"
        console.print(f"other codes: {most}", markup=False)
    if found.num_unmatched:
        console.print(f"quantizers whose codes the program does not make: {found.num_unmatched}")


def _print_table(comparisons: list[Comparison]) -> None:
    table = Table("back end", "mismatches", "values", "tensors", "samples", "first difference")
    for one in comparisons:
        first = escape(str(one.first)) if one.first else ""
        numbers = (one.num_mismatches, one.num_values, one.num_tensors, one.num_samples)
        table.add_row(one.engine, *(f"{number:,}" for number in numbers), first)
    console.print(table)
    if all(one.first is None for one in comparisons):
        total = sum(one.num_values for one in comparisons)
        console.print(f"0 mismatches in {total:,} values")
