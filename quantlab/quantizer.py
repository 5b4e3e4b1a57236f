"""Quantizers: what puts one tensor of a network on a grid of integer codes."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from quantlab.errors import UsageError
from quantlab.numerics.affine import dequantize, quantize, widen
from quantlab.numerics.granularity import Granularity, PerGroup, PerTensor
from quantlab.numerics.ranges import integer_range

Stage = Literal["float", "fake-quantized"]

# For `torch.compile(network, options=dict(COMPILE_OPTIONS))`: otherwise compiled code for GPUs
# divides to within 2 ulp only, which moves the codes of numbers that lie almost on a tie.
COMPILE_OPTIONS: Mapping[str, bool] = {"eager_numerics.division_rounding": True}


@dataclass(frozen=True, kw_only=True)
class QuantSpec:
    """Which codes a quantizer has and which numbers share a scale.

    narrow: leave out the lowest signed code, so that both signs have as many.
    symmetric: the zero point is 0.
    levels: the codes in rising order where they are not all those of `num_bits` bits, such as
        powers of two; codes are always the numbers of the grid divided by the scale, less the zero
        point, so an even number of levels around zero has no zero: -1 and 1, or -3, -1, 1 and 3.
    Raises UsageError for a combination that does not exist.
    """

    num_bits: int
    signed: bool
    narrow: bool = False
    symmetric: bool = True
    granularity: Granularity = field(default_factory=PerTensor)
    rounding: Literal["half_up"] = "half_up"
    levels: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if self.levels is None:
            integer_range(self.num_bits, signed=self.signed, narrow=self.narrow)
        elif len(self.levels) > 2**self.num_bits or list(self.levels) != sorted(set(self.levels)):
            raise UsageError(
                f"levels: {self.levels} given, at most {2**self.num_bits} rising integers allowed "
                f"with num_bits {self.num_bits}"
            )

    @property
    def codes(self) -> Sequence[int]:
        """All codes, in rising order."""
        if self.levels is not None:
            return self.levels
        codes = integer_range(self.num_bits, signed=self.signed, narrow=self.narrow)
        return range(codes.quant_min, codes.quant_max + 1)

    @property
    def quant_min(self) -> int:
        return self.codes[0]

    @property
    def quant_max(self) -> int:
        return self.codes[-1]

    def __str__(self) -> str:
        sign = "signed" if self.signed else "unsigned"
        count = f" of {len(self.levels)} levels" if self.levels is not None else ""
        return f"{self.num_bits} bits {sign}{count} {self.granularity}"


_GRID = "quantlab.grid"  # in the metadata of a state dict


@dataclass
class _History:
    """What has happened to a quantizer, an object of its own: no edit that is undone undoes it."""

    has_run: bool = False


class Quantizer(nn.Module, ABC):
    """Base of all quantizers: stages, codes and state. A subclass adds `scale` of shape
    `scale_shape`, as a buffer, a parameter or a property, how it is found, and the gradient; and
    `encode` where a code is not that of the nearest level.

    stage: `float` passes tensors through, `fake-quantized` puts them on the grid. Independently a
    quantizer may be observing: then `observe` sees each tensor that passes in training mode.
    Evaluation uses stored values only and changes none.

    While its parameters do not change, `codes(dequantize(c)) == c` for all codes `c`. The result
    of `forward` has the type of its input; in half precision it is the grid's value rounded, which
    still has the same code for up to 7 bits (bfloat16; 8 too but for ties) or 10 bits (float16).

    weight_decay: of the quantizer's own parameters, whatever the optimizer's is for the rest.
    is_following: the grid of a weight follows it in each training step: it goes on observing.
    attributes_without_effect: names of attributes that no result depends on.

    All state is in the state dict, stages included; `load_state_dict` raises UsageError for one of
    other bits or levels. The buffers are the truth: `forward` branches on Python twins of them, so
    that neither a GPU waits nor a compiled graph breaks. The twins follow whatever writes the
    buffers (`load_state_dict`, a copy of averaged weights, a broadcast to other processes) before
    the next call in Python, at the latest at `train` and `eval`.
    """

    if TYPE_CHECKING:  # buffers, parameters or properties of the subclasses

        @property
        def scale(self) -> Tensor: ...

        @property
        def zero_point(self) -> Tensor: ...

    enabled: Tensor
    observing: Tensor
    signed: Tensor
    is_following: ClassVar[bool] = False
    attributes_without_effect: ClassVar[tuple[str, ...]] = ("_seen", "_history")
    weight_decay: float = 0.0

    def __init__(self, spec: QuantSpec, shape: Sequence[int] = ()) -> None:
        """Make a quantizer in the float stage.

        shape: of the tensors to come; only needed if the granularity depends on it.
        """
        super().__init__()
        self.scale_shape = spec.granularity.scale_shape(shape)
        if not isinstance(getattr(type(self), "zero_point", None), property):
            self.register_buffer("zero_point", torch.zeros(self.scale_shape, dtype=torch.int32))
        self.register_buffer("enabled", torch.tensor(False))
        self.register_buffer("observing", torch.tensor(False))
        self.register_buffer("signed", torch.tensor(spec.signed))
        self._is_enabled = False
        self._is_observing = False
        self._seen: tuple[object, ...] = ()
        self._take(spec)
        self._history = _History()

    @property
    def spec(self) -> QuantSpec:
        self._follow()
        return self._spec

    @property
    def quant_min(self) -> int:
        return self._quant_min

    @property
    def quant_max(self) -> int:
        return self._quant_max

    @property
    def stage(self) -> Stage:
        return "fake-quantized" if self.is_enabled else "float"

    @property
    def is_enabled(self) -> bool:
        self._follow()
        return self._is_enabled

    @property
    def is_observing(self) -> bool:
        self._follow()
        return self._is_observing

    @property
    def has_run(self) -> bool:
        """Whether a tensor has passed since it was made, in whatever stage; not in the state."""
        return self._history.has_run

    @property
    def is_complete(self) -> bool:
        """Whether in evaluation all that passes is on the grid."""
        return self.is_enabled

    def own_decays(self) -> dict[nn.Parameter, float]:
        """Return the weight decay of each parameter."""
        return dict.fromkeys(self.parameters(), self.weight_decay)

    @property
    def generator(self) -> torch.Generator | None:
        """What it draws from when it quantizes in training, None if it draws nothing. A CUDA graph
        that captures it has to be told of it, by `register_generator_state`."""
        return None

    def set_enabled(self, is_enabled: bool) -> None:
        """Enter the fake-quantized stage, or the float stage again."""
        self.enabled.fill_(is_enabled)
        self._is_enabled = is_enabled

    def set_observing(self, is_observing: bool) -> None:
        self.observing.fill_(is_observing)
        self._is_observing = is_observing

    def set_signed(self, is_signed: bool) -> None:
        """Choose the sign of the codes. Raises UsageError if the other settings forbid it."""
        self._take(replace(self._spec, signed=is_signed))
        self.signed.fill_(is_signed)

    @abstractmethod
    def observe(self, x: Tensor) -> None:
        """Learn the range from a tensor. Must not wait for the device."""

    @abstractmethod
    def fake_quantize(self, x: Tensor) -> Tensor:
        """Return `x` on the grid, split as `granularity` says, with the algorithm's gradient."""

    def train(self, mode: bool = True) -> Self:
        self._read_state()
        return super().train(mode)

    def forward(self, x: Tensor) -> Tensor:
        self._follow()
        self._history.has_run = True
        if self._is_observing and self.training:
            self.observe(x)
        if not self._is_enabled:
            return x
        if self._has_groups:
            return self.fake_quantize(self.split(x)).reshape(x.shape)
        return self.fake_quantize(x)

    def codes(self, x: Tensor) -> Tensor:
        """Return the integer codes of `x`, int32 and of its shape, whatever the stage."""
        self._follow()
        with torch.no_grad():
            return self.encode(self.split(x.detach())).reshape(x.shape)

    def encode(self, x: Tensor) -> Tensor:
        """Return the codes of `x`, split as `granularity` says, int32."""
        return quantize(
            x,
            self.scale,
            self.zero_point,
            quant_min=self._quant_min,
            quant_max=self._quant_max,
        )

    def positions(self, x: Tensor) -> Tensor:
        """Return where `x` lies among the codes before it is rounded to one or clipped, split as
        `granularity` says: differentiable by `x`, with the grid as it is now."""
        return widen(self.split(x)) / self.scale.detach() + self.zero_point

    def dequantize(self, codes: Tensor) -> Tensor:
        """Return the numbers on the grid that integer codes stand for, in the scale's type."""
        return dequantize(self.split(codes), self.scale.detach(), self.zero_point).reshape(
            codes.shape
        )

    def split(self, x: Tensor) -> Tensor:
        """Return `x` in the shape against which `scale` broadcasts."""
        return x.reshape(self._spec.granularity.split_shape(x.shape)) if self._has_groups else x

    def extra_repr(self) -> str:
        return f"{self._spec}, {self.stage}"

    def _take(self, spec: QuantSpec) -> None:
        self._spec = spec
        self._quant_min, self._quant_max = spec.quant_min, spec.quant_max
        self._has_groups = isinstance(spec.granularity, PerGroup)

    def _save_to_state_dict(self, destination: Any, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        if hasattr(destination, "_metadata"):  # torch's own, which torch.save keeps
            destination._metadata[prefix[:-1]][_GRID] = self._grid()

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, local_metadata: Any, *args: Any
    ) -> None:
        given = local_metadata.get(_GRID, self._grid())
        if given != self._grid():
            raise UsageError(
                f"{prefix[:-1] or 'quantizer'}: the state of {given} given, of {self._grid()} "
                "allowed; quantize with the rules that it was made with, or load the float weights "
                "and calibrate"
            )
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *args)
        self._read_state()

    def _grid(self) -> str:
        """Return what states of a quantizer have in common, in words."""
        levels = self._spec.levels
        return f"{self._spec.num_bits} bits" + (f" with the levels {levels}" if levels else "")

    def _follow(self) -> None:
        """Read the state again if another hand has written it."""
        if not torch.compiler.is_compiling() and self._seen != self._versions():
            self._read_state()

    def _read_state(self) -> None:
        """Let the Python twins be what the buffers say."""
        if self.enabled.is_meta:
            return
        self._is_enabled = bool(self.enabled)
        self._is_observing = bool(self.observing)
        if bool(self.signed) != self._spec.signed:
            self._take(replace(self._spec, signed=bool(self.signed)))
        self._seen = self._versions()

    def _versions(self) -> tuple[object, ...]:
        """Return what is another after the buffers of the stages were written or replaced."""
        buffers = (self.enabled, self.observing, self.signed)
        return tuple((id(b), 0 if b.is_inference() else b._version) for b in buffers)
