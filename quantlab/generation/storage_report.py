"""What a network takes when it is stored, by three conventions.

paper   factors at their bits, quantized weights at theirs, all other parameters at 32 bits: batch
        norms with two numbers a channel, biases. As published
full    the same with what evaluation needs beside: running statistics of batch norms, and a scale
        of 32 bits for each that a quantizer has
file    the bytes of a pack, once one is written (`StorageReport.with_file`)
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor, nn

from quantlab.algorithms.layers import carries
from quantlab.errors import check_kind
from quantlab.generation.layers import MLGConv2d, MLGLinear, latents, weight_shape
from quantlab.quantizer import Quantizer

Form = Literal["generated", "quantized", "dense", "norm", "other"]
_FLOAT = 32  # bits


@dataclass(frozen=True, kw_only=True)
class StorageRow:
    """One module. shape: of its weight. num_dense: numbers of its parameters were they dense;
    num_stored: of those that it has; bits: of these; more_bits: of its buffers and scales."""

    layer: str
    form: Form
    shape: tuple[int, ...]
    num_dense: int
    num_stored: int
    bits: int
    more_bits: int


@dataclass(frozen=True, kw_only=True)
class StorageReport:
    """The rows of a network's modules, each parameter in one of them. file_bytes: None before."""

    rows: tuple[StorageRow, ...]
    file_bytes: int | None = None

    @property
    def dense_bytes(self) -> int:
        """Of the float network, parameters alone."""
        return sum(row.num_dense for row in self.rows) * _FLOAT // 8

    @property
    def paper_bytes(self) -> float:
        """See the module; with the part of a last byte."""
        return sum(row.bits for row in self.rows) / 8

    @property
    def full_bytes(self) -> float:
        """See the module."""
        return self.paper_bytes + sum(row.more_bits for row in self.rows) / 8

    @property
    def memory_ratio(self) -> float:
        """Bytes of the paper's convention, of the dense ones."""
        return self.paper_bytes / self.dense_bytes

    @property
    def parameter_ratio(self) -> float:
        """Numbers that are stored, of the dense ones."""
        dense = sum(row.num_dense for row in self.rows)
        return sum(row.num_stored for row in self.rows) / dense

    def with_file(self, num_bytes: int) -> "StorageReport":
        """Return the report with the size of a written pack."""
        return replace(self, file_bytes=num_bytes)

    def __str__(self) -> str:
        lines = [f"{'layer':<36}{'form':<11}{'weight':<16}{'numbers':>12}{'bytes':>12}{'more':>8}"]
        for row in self.rows:
            shape = "x".join(map(str, row.shape))
            lines.append(
                f"{row.layer:<36}{row.form:<11}{shape:<16}{row.num_stored:>12,}"
                f"{row.bits / 8:>12,.1f}{row.more_bits / 8:>8,.0f}"
            )
        file = "not written" if self.file_bytes is None else f"{self.file_bytes:,}"
        lines.append(
            f"bytes: {self.paper_bytes:,.0f} as in the paper ({self.memory_ratio:.4f} of "
            f"{self.dense_bytes:,}), {self.full_bytes:,.0f} with buffers and scales, file {file}"
        )
        return "\n".join(lines)


def storage_report(network: nn.Module) -> StorageReport:
    """Return what a network takes, on any device, meta too. Shared parameters and scales count
    once."""
    check_kind("network", network, nn.Module, "a torch.nn.Module")
    seen: set[Tensor | Quantizer] = set()
    rows = [row for name, module in network.named_modules() for row in _rows(name, module, seen)]
    return StorageReport(rows=tuple(rows))


def _rows(name: str, module: nn.Module, seen: set[Tensor | Quantizer]) -> Iterator[StorageRow]:
    """Yield the row of a module that has parameters or statistics of its own."""
    if isinstance(module, Quantizer):
        return
    own = {key: p for key, p in module._parameters.items() if p is not None and p not in seen}
    seen.update(own.values())
    statistics = _statistics(module)
    if not own and not statistics:
        return
    quantizers = [m for m in module.children() if isinstance(m, Quantizer) and m not in seen]
    seen.update(quantizers)
    on_weight = carries(module).get("weight")
    sizes = {key: parameter.numel() for key, parameter in own.items()}
    bits = {key: count * _FLOAT for key, count in sizes.items()}
    dense = dict(sizes)
    form: Form = "dense" if "weight" in own else "other"
    shape = tuple(own["weight"].shape) if "weight" in own else ()
    if isinstance(module, MLGConv2d | MLGLinear):
        form, shape = "generated", weight_shape(module)
        factors = {n: x for n, x in latents(module).by_name.items() if n in own}
        dense = {key: count for key, count in sizes.items() if key not in factors}
        dense["weight"] = math.prod(shape) if factors else 0
        bits.update({key: sizes[key] * module.spec.bits[key] for key in factors})
    elif on_weight is not None and "weight" in own:
        form = "quantized"
        bits["weight"] = sizes["weight"] * on_weight.spec.num_bits
    elif isinstance(module, nn.modules.batchnorm._BatchNorm):
        form = "norm"
    yield StorageRow(
        layer=name,
        form=form,
        shape=shape,
        num_dense=sum(dense.values()),
        num_stored=sum(sizes.values()),
        bits=sum(bits.values()),
        more_bits=_FLOAT * (statistics + sum(one.scale.numel() for one in quantizers if own)),
    )


def _statistics(module: nn.Module) -> int:
    """Return how many running statistics a batch norm has."""
    if not isinstance(module, nn.modules.batchnorm._BatchNorm):
        return 0
    found = (module.running_mean, module.running_var)
    return sum(x.numel() for x in found if x is not None)
