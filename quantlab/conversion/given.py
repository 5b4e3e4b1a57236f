"""The arguments of `save_compressed_model`, checked."""

import warnings
from dataclasses import dataclass

from torch import Tensor, nn

from quantlab.conversion.accuracy import classes_of
from quantlab.conversion.calibration import has_quantizers
from quantlab.conversion.samples import Samples, are_bytes, batch_of, spec_of
from quantlab.errors import UsageError, check_kind
from quantlab.integer.lower import InputSpec, Limits

_MOST_SAMPLES = 1024
FEW_SAMPLES = 16
"""Fewer tell too little of a range."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """inputs, examples: batches `[N, ...]` as the network takes them. targets: the classes of the
    examples. spec: what the integers of an input stand for, None where that is not known. sum_bits:
    as of `lower`."""

    network: nn.Module
    inputs: Tensor | None
    examples: Tensor | None
    targets: Tensor | None
    spec: InputSpec | None
    sum_bits: int

    @property
    def samples(self) -> Tensor | None:
        """What ranges are read off: the examples, or without them the inputs, at most 1,024 from
        all over them."""
        given = self.inputs if self.examples is None else self.examples
        return None if given is None else given[:: -(-len(given) // _MOST_SAMPLES)]


def given_of(
    network: nn.Module,
    input_data: Samples | None,
    example_data: Samples | None,
    example_targets: Samples | None,
    spec: InputSpec | None,
    sum_bits: int | None,
) -> Given:
    """Return arguments as batches. Raises UsageError for those that are none or do not fit. Warns
    where few samples decide what the input of a network with quantizers can be."""
    check_kind("model", network, nn.Module, "a torch.nn.Module")
    if spec is not None:
        check_kind("spec", spec, InputSpec, "an InputSpec")
    inputs = examples = targets = None
    if input_data is not None:
        inputs = batch_of(input_data, network, "input_data", may_be_one=True)
    if example_data is not None:
        examples = batch_of(example_data, network, "example_data")
    if example_targets is not None:
        if examples is None:
            raise UsageError("example_targets: given without example_data, which they are of")
        targets = classes_of(example_targets, len(examples))
    raw, batch = (input_data, inputs) if examples is None else (example_data, examples)
    if spec is None and raw is not None and batch is not None:
        spec = spec_of(batch, is_raw=are_bytes(raw))
        if len(batch) < FEW_SAMPLES and not are_bytes(raw) and has_quantizers(network):
            noun = "sample" if len(batch) == 1 else "samples"
            warnings.warn(
                f"spec: None given, and {len(batch)} {noun} to read the range of the input from; "
                "give the spec that the network was quantized for, or a few hundred samples",
                stacklevel=3,
            )
    for name, one in (("input_data", inputs), ("example_data", examples)):
        if one is not None and spec is not None and one.shape[1:] != spec.shape:
            raise UsageError(
                f"{name}: samples {list(one.shape[1:])} given, {list(spec.shape)} allowed"
            )
    return Given(
        network=network,
        inputs=inputs,
        examples=examples,
        targets=targets,
        spec=spec,
        sum_bits=Limits().sum_bits if sum_bits is None else sum_bits,
    )
