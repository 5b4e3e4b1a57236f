"""`save_compressed_model`: from a network to a folder of C."""

import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from torch import Tensor, nn

from quantlab.conversion.accuracy import classes_of, network_accuracy, program_accuracy
from quantlab.conversion.calibration import has_quantizers, quantized_copy
from quantlab.conversion.samples import Samples, are_bytes, batch_of, codes_of, spec_of
from quantlab.deploy.c.folder import leftovers
from quantlab.deploy.c.kernels.table import AUTO, KERNELS
from quantlab.deploy.c.model import c_model
from quantlab.deploy.c.sizes import Sizes
from quantlab.deploy.folder import check_places, manifest, replace_files
from quantlab.errors import UsageError, check_kind, did_you_mean
from quantlab.integer.lower import InputSpec, lower
from quantlab.integer.program import Program

_REPLACED = {
    "csc": "which stores columns; C multiplies row by row, so that 'csr' is the same bytes",
    "pair": "which stores pairs of place and value; 'csr' is smaller",
}
_FEW = 16


@dataclass(frozen=True, kw_only=True)
class _Dtype:
    """input_bits: the most of a layer's input, with or without a sign. memory_bits: as of
    `lower`."""

    input_bits: int
    memory_bits: int


_DTYPES = {"s8": _Dtype(input_bits=8, memory_bits=8), "s16": _Dtype(input_bits=15, memory_bits=16)}


@dataclass(frozen=True, kw_only=True)
class SavedModel:
    """What was written.

    program: that the C computes, to the bit. spec: what the integers of its input stand for.
    hashes: the SHA-256 of each file by its path in the folder. network_accuracy, accuracy: of the
    network as it was given and of what was written, in percent of example_data; None without
    example_targets.
    """

    folder: Path
    program: Program
    spec: InputSpec
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
) -> SavedModel:
    """Write a network as C that computes what the network computes, in place of an earlier model.

    A network with quantizers is written as it is. Any other is quantized after training: its
    weights to 8 bits, a scale for each output, its activations for their ranges on `example_data`,
    or on `input_data` without it. The network itself does not change.

    model: in its present state, as it evaluates.
    representation: of the weights: `csr`, sparse layers by rows; `auto`, the fewest bytes for each
        layer; `dense`; or another encoding of C.
    input_data: a sample `[F]` or `[C, H, W]`, or a batch, as the network takes it; it becomes
        `headers/input.h`, with the outputs that the C has to give for it.
    example_data: a batch. example_targets: a class for each of its samples, to measure with.
    flit: fixed-point numbers, in the original: integers are written in any case.
    verbose: whether the result is printed.
    dtype: `s8`, 8 bits between layers; `s16`, 16, of which a layer uses as many as its sums have
        room for. The input has 8 bits in both.
    spec: what the integers of the input stand for; without it read off the samples.

    Raises UsageError, before anything is written, for what cannot be written, with the layer, and
    for a directory with other files; OSError.
    """
    check_kind("directory", directory, str | PathLike, "a path")
    _check_names(representation, dtype)
    given = _given(model, input_data, example_data, example_targets, spec)
    program = _program(given, _DTYPES[dtype])
    vectors = None if given.inputs is None else {"input": codes_of(given.inputs, given.spec)}
    written = c_model(program, representation, vectors=vectors)
    folder = Path(directory)
    check_places(written.files, folder)
    stale = leftovers(written.files, folder)
    of_network, of_program = _accuracies(given, program)
    replace_files(written.files, folder, stale)
    saved = SavedModel(
        folder=folder,
        program=program,
        spec=given.spec,
        sizes=written.sizes,
        hashes=manifest(written.files),
        network_accuracy=of_network,
        accuracy=of_program,
    )
    if verbose:
        sys.stdout.write(f"{saved}\n")
    return saved


@dataclass(frozen=True, kw_only=True)
class _Given:
    """The arguments, checked. inputs, examples: batches `[N, ...]` as the network takes them.
    targets: the classes of the examples."""

    network: nn.Module
    inputs: Tensor | None
    examples: Tensor | None
    targets: Tensor | None
    spec: InputSpec

    @property
    def samples(self) -> Tensor | None:
        """What ranges are read off."""
        return self.inputs if self.examples is None else self.examples


def _given(
    network: nn.Module,
    input_data: Samples | None,
    example_data: Samples | None,
    example_targets: Samples | None,
    spec: InputSpec | None,
) -> _Given:
    check_kind("model", network, nn.Module, "a torch.nn.Module")
    inputs = None
    if input_data is not None:
        inputs = batch_of(input_data, network, "input_data", may_be_one=True)
    examples = None if example_data is None else batch_of(example_data, network, "example_data")
    if example_targets is not None and examples is None:
        raise UsageError("example_targets: given without example_data, which they are of")
    targets = None
    if example_targets is not None and examples is not None:
        targets = classes_of(example_targets, len(examples))
    if spec is None:
        raw, batch = (input_data, inputs) if examples is None else (example_data, examples)
        if raw is None or batch is None:
            raise UsageError("input_data: None given, a sample needed, or example_data, or a spec")
        spec = spec_of(batch, is_raw=are_bytes(raw))
    for name, batch in (("input_data", inputs), ("example_data", examples)):
        if batch is not None and batch.shape[1:] != spec.shape:
            raise UsageError(
                f"{name}: samples {list(batch.shape[1:])} given, {list(spec.shape)} allowed"
            )
    return _Given(network=network, inputs=inputs, examples=examples, targets=targets, spec=spec)


def _accuracies(given: _Given, program: Program) -> tuple[float | None, float | None]:
    """Return that of the network and that of the program."""
    if given.examples is None or given.targets is None:
        return None, None
    return (
        network_accuracy(given.network, given.examples, given.targets),
        program_accuracy(program, given.spec, given.examples, given.targets),
    )


def _check_names(representation: object, dtype: object) -> None:
    check_kind("representation", representation, str, "a name")
    check_kind("dtype", dtype, str, "a name")
    assert isinstance(representation, str)
    assert isinstance(dtype, str)
    allowed = [AUTO, *KERNELS]
    if representation not in allowed:
        reason = _REPLACED.get(representation)
        hint = f", {reason}" if reason else did_you_mean(representation, allowed)
        raise UsageError(
            f"representation: '{representation}' given, {', '.join(allowed)} allowed{hint}"
        )
    if dtype not in _DTYPES:
        hint = did_you_mean(dtype, _DTYPES)
        raise UsageError(f"dtype: '{dtype}' given, {', '.join(_DTYPES)} allowed{hint}")


def _program(given: _Given, dtype: _Dtype) -> Program:
    network, samples = given.network, given.samples
    if not has_quantizers(network):
        if samples is None:
            raise UsageError(
                "example_data: None given, but the network has no quantizers; samples needed, from "
                "which the ranges of its activations are read"
            )
        network = quantized_copy(network, samples, most_bits=dtype.input_bits)
        if len(samples) < _FEW:
            warnings.warn(
                f"samples: {len(samples)} given to read the ranges of activations from; a few "
                "hundred as example_data make the C more accurate",
                stacklevel=3,
            )
    return lower(network, given.spec, samples, memory_bits=dtype.memory_bits)
