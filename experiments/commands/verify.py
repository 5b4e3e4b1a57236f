"""`main.py verify`: the proof that what is deployed computes what was trained."""

import math
from collections.abc import Iterable
from pathlib import Path

from torch import Tensor

from experiments.command_line import Invocation
from experiments.commands.checks import ALL
from experiments.commands.comparisons import compared, print_table
from experiments.commands.restored import Restored, limits_of, lowered, restore
from experiments.commands.stored import find_run
from experiments.commands.verify_compression import verify_compression
from experiments.commands.verify_torchvision import verify_torchvision
from experiments.deployment.agreement import Agreement, agreement
from experiments.deployment.artefacts import engines_of
from experiments.deployment.certificate import CERTIFICATE, certificate
from experiments.deployment.samples import raw_batches, raw_samples
from experiments.deployment.tally import Tally
from experiments.progress import Steps, console
from experiments.protocols import Data
from experiments.runs.files import storage_error, write_json
from experiments.runs.folder import is_compression
from quantlab.algorithms.unused import unused_quantizers
from quantlab.deploy.table import engines_named

_NUM_SAMPLES, _BATCH_SIZE = 1000, 50


def run(invocation: Invocation) -> int:
    """Lower the network, run every engine on real samples, write the certificate."""
    if invocation.has("torchvision"):
        return verify_torchvision(invocation)
    run, record = find_run(invocation)
    if is_compression(record):
        return verify_compression(invocation, run, record)
    backends = engines_named(invocation.options.get("backends"))
    count = invocation.number("samples") if invocation.has("samples") else _NUM_SAMPLES
    num_tested = _num_tested(invocation, count)
    restored, limits = restore(invocation), limits_of(invocation)
    folder = restored.artefacts
    # Whatever ends this early, no certificate of an earlier time may stand for it.
    _remove(folder / CERTIFICATE)
    made = lowered(restored, limits)
    data, program = made.data, made.program
    running = engines_of(backends, program, folder)
    images, targets = raw_samples(data.test, restored.library, count)
    comparisons = compared(program, running, images, _BATCH_SIZE)
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
            new_tally=lambda: _tally(restored, data),
        )
    identity = {
        "run": restored.folder.name,
        "checkpoint": restored.checkpoint,
        "quick": restored.is_quick,
        **limits.as_given(),
    }
    whole = identity | certificate(program, images, comparisons, found)
    write_json(folder / CERTIFICATE, whole)
    print_table(comparisons)
    _print_agreement(found)
    for line in unused_quantizers(restored.network):
        console.print(f"note: {line}", markup=False)
    console.print(f"certificate: {folder / CERTIFICATE}", markup=False)
    for comparison in comparisons:
        comparison.check()
    return 0


def _tally(restored: Restored, data: Data) -> Tally:
    return Tally(
        meter=restored.problem.meter(data.test.classes),
        postprocess=restored.library.postprocess,
        loss=restored.loss,
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error


def _num_tested(invocation: Invocation, count: int) -> int | None:
    """Return how many images both networks are compared on; None for all."""
    if not invocation.has("tested"):
        return count
    return None if invocation.options["tested"] == ALL else invocation.number("tested")


def _print_agreement(found: Agreement) -> None:
    if found.same_class is not None:
        console.print(
            f"top-1 of {found.num_images:,} images: integers {found.integer_top1:.2f} %, "
            f"fake-quantized {found.fake_quantized_top1:.2f} %; the same class for "
            f"{found.same_class:.2f} %"
        )
    else:
        for name, ours in found.integer_metrics.items():
            theirs = found.fake_quantized_metrics[name]
            console.print(
                f"{name} of {found.num_images:,} samples: integers {ours:.4g}, fake-quantized "
                f"{theirs:.4g}",
                markup=False,
            )
    path, share = found.most_other_codes
    if path:
        # Rounded up: what differs is never shown as nothing.
        most = f"at most {math.ceil(1000 * share) / 1000:.3f} %, at {path}" if share else "none"
        console.print(f"other codes: {most}", markup=False)
    if found.num_unmatched:
        console.print(f"quantizers whose codes the program does not make: {found.num_unmatched}")
