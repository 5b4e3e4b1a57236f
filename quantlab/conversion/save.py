"""`save_compressed_model`: from a network to a folder of C."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from torch import nn

from quantlab.conversion.accuracy import network_accuracy
from quantlab.conversion.forms import FORMS
from quantlab.conversion.given import given_of
from quantlab.conversion.samples import Samples
from quantlab.deploy.c.folder import leftovers
from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.sizes import Sizes, check_limits
from quantlab.deploy.folder import check_places, manifest, only_writer, replace_files
from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.floats.program import FloatProgram
from quantlab.integer.lower import InputSpec
from quantlab.integer.program import Program

_REPLACED = {
    "csc": "; C multiplies row by row, and 'csr' takes as many bytes as columns do",
    "pair": "; 'csr' is smaller than pairs of place and value",
}


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """What was written.

    program: that the C computes, to the bit. spec: what the integers of its input stand for, None
    of floats. hashes: the SHA-256 of each file by its path in the folder. network_accuracy,
    accuracy: of the network as it was given and of what was written, in percent of example_data;
    None without example_targets.
    """

    folder: Path
    program: Program | FloatProgram
    spec: InputSpec | None
    sizes: Sizes
    hashes: Mapping[str, str]
    network_accuracy: float | None
    accuracy: float | None

    def __str__(self) -> str:
        lines = [
            f"{self.folder}: {len(self.hashes)} files",
            f"constants: {self.sizes.flash:,} bytes, beside the code",
            f"RAM: {self.sizes.ram:,} bytes, an arena of {self.sizes.arena:,}, beside the stack",
        ]
        if self.accuracy is not None:
            lines.append(
                f"accuracy: {self.accuracy:.2f} %, of the network {self.network_accuracy:.2f} %"
            )
        return "\n".join(lines)


def save_compressed_model(
    model: nn.Module,
    representation: str,
    input_data: Samples | None = None,
    example_data: Samples | None = None,
    example_targets: Samples | None = None,
    directory: str | PathLike[str] = "my_model",
    flit: bool = False,
    verbose: bool = False,
    *,
    dtype: str = "s8",
    spec: InputSpec | None = None,
    sum_bits: int | None = None,
    ram: int | None = None,
    flash: int | None = None,
    intermittent: bool | Power = False,
) -> SavedModel:
    """Write a network as C that computes what the network computes, in place of an earlier model.

    A network with quantizers is written as it is. Any other is quantized after training: its
    weights to 8 bits, a scale for each output, its activations for their ranges on `example_data`,
    or on `input_data` without it. The network itself does not change.

    model: in its present state, as it evaluates.
    representation: of the weights: `csr`, sparse layers by rows; `auto`, few bytes at hardly more
        instructions than it could take; `smallest`; `dense`; or another encoding of C.
    input_data: a sample, `[F]`, `[C, H, W]`, or `[C, W]` of 1-d convolutions, or a batch, as the
        network takes it; it becomes `headers/input.h`, with the outputs that the C has to give.
    example_data: a batch. example_targets: a class for each of its samples, to measure with.
    flit: fixed-point numbers, in the original: `dtype` says which numbers are written.
    verbose: whether the result is printed.
    dtype: `s8`, 8 bits between layers; `s16`, 16, of which a layer uses as many as its sums have
        room for; the input has 8 bits in both. `f32`: floats, without quantizers.
    spec: what the integers of the input stand for; without it read off the samples.
    sum_bits: of the sums of each rescaling, 64, or 32 for cores without products of 64 bits.
    ram: the most bytes of the arena, inputs and outputs. flash: the most bytes of constants.
    intermittent: whether the C survives power failures; a `Power` says what a charge is enough for.

    Raises UsageError, before anything is written, for what cannot be written, with the layer, for
    more than `ram` or `flash`, and for a directory with other files or that another process writes;
    OSError.
    """
    check_kind("directory", directory, str | PathLike, "a path")
    check_kind("dtype", dtype, str, "a name")
    if dtype not in FORMS:
        hint = did_you_mean(dtype, FORMS)
        raise UsageError(f"dtype: '{dtype}' given, {', '.join(FORMS)} allowed{hint}")
    check_representation(representation, dtype)
    if flit and dtype == "f32":
        raise UsageError("flit: True given with dtype 'f32'; fixed-point numbers are 's8' or 's16'")
    for name, given_for_integers in (("spec", spec), ("sum_bits", sum_bits)):
        if given_for_integers is not None and dtype == "f32":
            raise UsageError(f"{name}: no effect with dtype 'f32', which has no integers")
    for name, limit in (("ram", ram), ("flash", flash)):
        check_limit(name, limit)
    check_kind("intermittent", intermittent, bool | Power, "True, False or a Power")
    given = given_of(model, input_data, example_data, example_targets, spec, sum_bits)
    converted = FORMS[dtype].convert(given, representation, intermittent)
    check_limits(converted.model.sizes, ram=ram, flash=flash)
    of_network = None
    if given.examples is not None and given.targets is not None:
        of_network = network_accuracy(model, given.examples, given.targets)
    folder, files = Path(directory), converted.model.files
    check_places(files, folder)
    with only_writer(folder):
        replace_files(files, folder, leftovers(files, folder, has_parts=False))
    saved = SavedModel(
        folder=folder,
        program=converted.program,
        spec=converted.spec,
        sizes=converted.model.sizes,
        hashes=manifest(files),
        network_accuracy=of_network,
        accuracy=converted.accuracy,
    )
    if verbose:
        sys.stdout.write(f"{saved}\n")
    return saved


def check_limit(name: str, given: object) -> None:
    """Raise UsageError unless a limit is a number of bytes, or None."""
    if given is not None:
        check_kind(name, given, int, "a number of bytes")


def check_representation(given: str, dtype: str) -> None:
    """Raise UsageError unless weights can be written so in a type of numbers."""
    check_kind("representation", given, str, "a name")
    allowed = FORMS[dtype].encodings
    if given not in allowed:
        hint = _REPLACED.get(given) or did_you_mean(given, allowed)
        raise UsageError(
            f"representation: '{given}' given, {', '.join(allowed)} allowed with dtype "
            f"'{dtype}'{hint}"
        )
