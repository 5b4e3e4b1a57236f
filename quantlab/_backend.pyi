from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

VARIANTS: Final[dict[str, tuple[str, ...]]]
HAS_STOCHASTIC_ROUNDING: Final[bool]

def isa() -> str: ...
def supported_isas() -> tuple[str, ...]: ...
def activate(isa: str) -> None: ...
def max_threads() -> int: ...
def pack(
    codes: NDArray[np.uint8],
    num_bits: int,
    out: NDArray[np.uint8] | None,
    variant: str | None,
    num_threads: int | None,
) -> NDArray[np.uint8]: ...
def unpack(
    packed: NDArray[np.uint8],
    num_bits: int,
    num_codes: int,
    out: NDArray[np.uint8] | None,
    variant: str | None,
    num_threads: int | None,
) -> NDArray[np.uint8]: ...
def popcount(
    words: NDArray[np.uint64],
    out: NDArray[np.int64] | None,
    variant: str | None,
    num_threads: int | None,
) -> NDArray[np.int64]: ...
def entropy_encode(codes: NDArray[np.uint8], num_bits: int, is_mixed: bool) -> bytes: ...
def entropy_decode(
    bytes: NDArray[np.uint8], num_bits: int, num_rows: int, num_columns: int, is_mixed: bool
) -> NDArray[np.uint8]: ...

class CodesRule:
    @classmethod
    def rescaling(
        cls,
        multiplier: NDArray[np.int32],
        other_multiplier: NDArray[np.int32] | None,
        offset: NDArray[np.int64],
        shift: NDArray[np.int64],
        low: int,
        high: int,
        num_groups: int,
    ) -> Self: ...
    @classmethod
    def counting(
        cls,
        base: NDArray[np.int32],
        step: NDArray[np.int32],
        limits: NDArray[np.int32],
        num_groups: int,
    ) -> Self: ...
    @property
    def num_channels(self) -> int: ...

Factor = NDArray[np.float32] | tuple[NDArray[np.int8] | NDArray[np.int16], NDArray[np.float32]]
_Codes = (
    tuple[CodesRule, NDArray[Any] | None, NDArray[Any]]
    | tuple[CodesRule, NDArray[Any] | None, NDArray[Any], int]
)

class PackedWeights:
    def __init__(
        self,
        weight: NDArray[np.int8],
        bias: NDArray[np.int32],
        num_groups: int,
        num_spans: int,
        is_words: bool,
    ) -> None: ...
    @property
    def num_outputs(self) -> int: ...
    @property
    def is_depthwise(self) -> bool: ...

class WindowPlaces:
    def __init__(
        self, counts: tuple[int, int, int], steps: tuple[int, int, int], spans: list[int]
    ) -> None: ...
    @property
    def num_windows(self) -> int: ...

def convolve(
    x: NDArray[Any],
    windows: WindowPlaces,
    weights: PackedWeights,
    sums: NDArray[np.int32] | None,
    codes: Sequence[_Codes],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def peak(repeats: int, variant: str | None) -> int: ...
def requantize(
    sums: NDArray[Any],
    codes: _Codes,
    num_channels: int,
    variant: str | None,
    num_threads: int | None,
) -> None: ...

class PoolWindows:
    def __init__(
        self,
        shape: tuple[int, int, int],
        rows: Sequence[tuple[int, int]],
        columns: Sequence[tuple[int, int]],
        steps: tuple[int, int],
        window: int,
        padding_code: int,
    ) -> None: ...

def pool(
    x: NDArray[Any],
    windows: PoolWindows,
    out: NDArray[Any],
    is_sum: bool,
    variant: str | None,
    num_threads: int | None,
) -> None: ...

class PackedConvolution:
    @classmethod
    def dense(
        cls,
        weight: Factor,
        bias: NDArray[np.float32] | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> Self: ...
    @classmethod
    def factored(
        cls,
        basis: Factor,
        coeff_in: Factor | None,
        coeff_out: Factor | None,
        bias: NDArray[np.float32] | None,
        stride: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
        groups: int,
    ) -> Self: ...
    @property
    def num_inputs(self) -> int: ...
    @property
    def num_outputs(self) -> int: ...
    @property
    def num_bytes(self) -> int: ...

class LayerTable:
    def __init__(self, inputs: Sequence[tuple[int, int, int]]) -> None: ...
    def convolution(
        self,
        packed: PackedConvolution,
        x: int,
        residual: int | None = None,
        low: float = ...,
        high: float = ...,
    ) -> int: ...
    def max_pool(
        self, x: int, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]
    ) -> int: ...
    def average_pool(
        self,
        x: int,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        padding: tuple[int, int],
        counts_padding: bool,
    ) -> int: ...
    def mean(self, x: int) -> int: ...
    def add(self, x: int, y: int, low: float = ..., high: float = ...) -> int: ...
    def concatenate(self, values: Sequence[int]) -> int: ...
    def shape(self, value: int) -> tuple[int, int, int]: ...
    @property
    def num_bytes(self) -> int: ...
    @property
    def num_bytes_read(self) -> int: ...

def run_layers(
    table: LayerTable,
    inputs: Sequence[NDArray[np.float32]],
    values: Sequence[int],
    outputs: Sequence[NDArray[np.float32]],
    precision: str,
    images_at_once: int | None,
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def peak_of_products(repeats: int, variant: str | None) -> int: ...

class PackedBits:
    def __init__(
        self, weight: NDArray[np.int8], bias: NDArray[np.int32], num_spans: int, channels: int
    ) -> None: ...
    @property
    def num_outputs(self) -> int: ...

def pack_bits(
    x: NDArray[np.int8],
    planes: NDArray[np.uint64],
    channels: int,
    variant: str | None,
    num_threads: int | None,
) -> None: ...

_Layer = tuple[NDArray[np.int8], NDArray[np.int32]]

class PackedStages:
    def __init__(
        self,
        shape: tuple[int, int, int],
        is_words: bool,
        entry: _Layer,
        entry_shift: int,
        kernels: _Layer | None,
        kernel_shift: int,
        exit: _Layer | None,
        kernel: tuple[int, int],
        stride: tuple[int, int],
        dilation: tuple[int, int],
        padding: tuple[int, int, int, int],
    ) -> None: ...
    @property
    def num_outputs(self) -> int: ...

def convolve_stages(
    x: NDArray[Any],
    stages: PackedStages,
    num_images: int,
    sums: NDArray[np.int32] | None,
    codes: Sequence[_Codes],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def convolve_bits(
    planes: NDArray[np.uint64],
    windows: WindowPlaces,
    weights: PackedBits,
    sums: NDArray[np.int32] | None,
    codes: Sequence[_Codes],
    variant: str | None,
    num_threads: int | None,
) -> None: ...

class PlaneLayout:
    def __init__(self, num_channels: int, places: NDArray[np.int64], step: int) -> None: ...

class ProductPlan:
    def __init__(
        self,
        starts: NDArray[np.int64],
        offsets: NDArray[np.int32],
        order: NDArray[np.int64],
        num_panels: int,
        lines: tuple[int, int, int],
        out_steps: tuple[int, int],
    ) -> None: ...
    @property
    def num_panels(self) -> int: ...
    @property
    def x_size(self) -> int: ...
    @property
    def out_size(self) -> int: ...

class GradientPlan:
    def __init__(
        self,
        starts: NDArray[np.int64],
        offsets: NDArray[np.int32],
        num_panels: int,
        places: NDArray[np.int64],
        y_step: int,
    ) -> None: ...
    @property
    def num_panels(self) -> int: ...
    @property
    def x_size(self) -> int: ...
    @property
    def y_size(self) -> int: ...

def lay_out(
    layout: PlaneLayout,
    samples: NDArray[Any],
    planes: NDArray[Any],
    is_batch_innermost: bool,
    factor: float,
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def collect(
    layout: PlaneLayout,
    samples: NDArray[Any],
    planes: NDArray[Any],
    is_batch_innermost: bool,
    factor: float,
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def sparse_product(
    plan: ProductPlan,
    x: NDArray[Any],
    values: NDArray[Any],
    bias: NDArray[Any] | None,
    out: NDArray[Any],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def sparse_gradient(
    plan: GradientPlan,
    x: NDArray[Any],
    y: NDArray[Any],
    values: NDArray[Any],
    x_gradient: NDArray[Any] | None,
    gradients: NDArray[Any] | None,
    variant: str | None,
    num_threads: int | None,
) -> None: ...

class GatherPlan:
    def __init__(self, product: ProductPlan, gradient: GradientPlan) -> None: ...
    @property
    def num_rows(self) -> int: ...

def gather_product(
    plan: GatherPlan,
    x: NDArray[Any],
    values: NDArray[Any],
    bias: NDArray[Any] | None,
    out: NDArray[Any],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def gather_gradient(
    plan: GatherPlan,
    x: NDArray[Any],
    y: NDArray[Any],
    values: NDArray[Any],
    x_gradient: NDArray[Any] | None,
    gradients: NDArray[Any] | None,
    variant: str | None,
    num_threads: int | None,
) -> None: ...

class Int8Plan:
    def __init__(self, plan: ProductPlan | GradientPlan) -> None: ...
    @property
    def num_weights(self) -> int: ...
    @property
    def num_rows(self) -> int: ...
    @property
    def x_size(self) -> int: ...
    @property
    def out_size(self) -> int: ...

def absmax(numbers: NDArray[Any], variant: str | None, num_threads: int | None) -> float: ...
def lay_out_int8(
    layout: PlaneLayout,
    samples: NDArray[Any],
    planes: NDArray[Any],
    scale: float,
    is_batch_innermost: bool,
    seed: int | None,
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def quantize_rows(
    plan: Int8Plan,
    values: NDArray[Any],
    weights: NDArray[Any],
    scales: NDArray[Any],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def sparse_product_int8(
    plan: Int8Plan,
    x: NDArray[Any],
    weights: NDArray[Any],
    factors: NDArray[Any],
    bias: NDArray[Any] | None,
    out: NDArray[Any],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def sparse_gradient_int8(
    plan: GradientPlan,
    x: NDArray[Any],
    y: NDArray[Any],
    factor: float,
    gradients: NDArray[Any],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def normalize(
    z: NDArray[np.float32],
    codes: NDArray[np.uint8],
    gamma: NDArray[np.float32],
    beta: NDArray[np.float32],
    eps: float,
    has_relu: bool,
    constants: NDArray[np.float32],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def normalize_back(
    y_gradient: NDArray[np.float32],
    codes: NDArray[np.uint8],
    gamma: NDArray[np.float32],
    beta: NDArray[np.float32],
    has_relu: bool,
    constants: NDArray[np.float32],
    z_gradient: NDArray[np.float32],
    sums: NDArray[np.float32],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def encode(
    x: NDArray[np.float32],
    start: float,
    step: float,
    codes: NDArray[np.uint8],
    variant: str | None,
    num_threads: int | None,
) -> None: ...
def decode(
    layout: PlaneLayout,
    codes: NDArray[np.uint8],
    planes: NDArray[Any],
    start: float,
    step: float,
    variant: str | None,
    num_threads: int | None,
) -> None: ...
