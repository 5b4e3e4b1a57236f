"""Programs of one layer, in each form in which modules multiply."""

from dataclasses import dataclass

import numpy as np

from quantlab.integer.operations import (
    Convolution,
    Linear,
    Lookup,
    Operation,
    Requantize,
    Reshape,
    Threshold,
    Windows,
)
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import S8, S16, U8, TensorType

_LINEAR = Windows(kernel=(1, 1))


@dataclass(frozen=True, kw_only=True)
class Case:
    """form: as `plan` has it; narrow: bytes with sums of 16 bits. codes: of padding."""

    form: str
    shape: tuple[int, int, int]
    num_outputs: int
    windows: Windows = _LINEAR
    codes: int = 0
    is_linear: bool = False
    groups: int = 1
    weights: tuple[int, int] = (-128, 127)
    levels: tuple[int, int] = (0, 1)  # of the input: of two a Threshold makes it
    is_signed: bool = False


_NEAR = Windows(kernel=(3, 3), padding=(1, 1, 1, 1))
_FAR = Windows(kernel=(2, 3), stride=(2, 1), padding=(0, 1, 2, 0), dilation=(2, 2))
_STEPS = Windows(kernel=(3, 2), stride=(2, 2), padding=(1, 0, 1, 1))
CASES = {
    "bits": Case(form="bits", shape=(8, 5, 6), num_outputs=9, windows=_NEAR),
    "bits with ones beyond": Case(
        form="bits", shape=(24, 5, 7), num_outputs=8, windows=_FAR, codes=1
    ),
    "bits, 0 and 4": Case(form="bits", shape=(16, 6, 5), num_outputs=4, levels=(0, 4)),
    "bits, -1 and 1": Case(
        form="bits", shape=(64, 4, 4), num_outputs=5, windows=_STEPS, codes=-1, levels=(-1, 1)
    ),
    "bits, long runs": Case(form="bits", shape=(512, 3, 4), num_outputs=21, windows=_NEAR),
    "bits, many pixels": Case(form="bits", shape=(8, 11, 12), num_outputs=7, windows=_NEAR),
    "linear bits": Case(form="bits", shape=(77, 5, 11), num_outputs=13, is_linear=True),
    "linear bits, few": Case(form="bits", shape=(3, 1, 3), num_outputs=6, is_linear=True),
    "signs": Case(form="signs", shape=(8, 5, 6), num_outputs=9, windows=_NEAR),
    "signs, long runs": Case(
        form="signs", shape=(512, 3, 4), num_outputs=11, windows=_NEAR, codes=1, levels=(-1, 1)
    ),
    "linear signs": Case(form="signs", shape=(77, 5, 11), num_outputs=12, is_linear=True),
    "narrow": Case(
        form="narrow", shape=(5, 6, 7), num_outputs=19, windows=_NEAR, codes=3,
        weights=(-3, 3), levels=(0, 15),
    ),
    "small inputs": Case(
        form="bytes", shape=(20, 5, 6), num_outputs=10, windows=_FAR, codes=90, levels=(0, 127)
    ),
    "small inputs from -60": Case(
        form="bytes", shape=(20, 6, 6), num_outputs=4, windows=_STEPS, codes=-7,
        levels=(-60, 60), is_signed=True,
    ),
    "small weights": Case(
        form="bytes", shape=(33, 5, 5), num_outputs=6, windows=_NEAR, codes=200,
        weights=(-63, 63), levels=(0, 255),
    ),
    "small weights of signed": Case(
        form="bytes", shape=(40, 5, 4), num_outputs=17, windows=_STEPS, codes=-100,
        weights=(-64, 63), levels=(-128, 127), is_signed=True,
    ),
    "small weights, one channel": Case(
        form="narrow", shape=(1, 9, 13), num_outputs=16, windows=Windows(kernel=(5, 5)),
        weights=(-2, 2), levels=(0, 255),
    ),
    "two words at once": Case(
        form="bytes", shape=(36, 5, 5), num_outputs=9, windows=_NEAR, codes=100,
        weights=(-63, 63), levels=(0, 127),
    ),
    "two words at once, small weights": Case(
        form="bytes", shape=(50, 5, 4), num_outputs=7, windows=_STEPS, codes=255,
        weights=(-31, 31), levels=(0, 255),
    ),
    "weights from 0": Case(
        form="bytes", shape=(7, 5, 5), num_outputs=4, weights=(0, 127), levels=(0, 255)
    ),
    "linear small weights": Case(
        form="bytes", shape=(300, 1, 1), num_outputs=7, is_linear=True, weights=(-60, 60),
        levels=(0, 255),
    ),
    "shorts": Case(
        form="shorts", shape=(6, 5, 7), num_outputs=11, windows=_NEAR, codes=33, levels=(0, 255)
    ),
    "shorts, long runs": Case(
        form="shorts", shape=(80, 3, 3), num_outputs=12, windows=_NEAR, levels=(0, 255)
    ),
    "shorts of 16 bits": Case(
        form="shorts", shape=(3, 7, 5), num_outputs=6, windows=_NEAR, codes=-300,
        levels=(-9000, 9000), is_signed=True,
    ),
    "linear shorts": Case(
        form="shorts", shape=(251, 1, 1), num_outputs=9, is_linear=True, levels=(0, 255)
    ),
    "groups": Case(form="", shape=(6, 5, 6), num_outputs=4, windows=_NEAR, groups=2),
    "a channel a group": Case(
        form="", shape=(5, 6, 6), num_outputs=10, windows=_FAR, groups=5, levels=(0, 255)
    ),
}  # fmt: skip


def program_of(case: Case, seed: int = 0, *, has_codes: bool = False) -> Program:
    """Return a program whose last operation is the layer, or a threshold of its sums."""
    random = np.random.default_rng(seed)
    operations = _inputs(case)
    channels = case.shape[0]
    name = operations[-1].output if operations else "x"
    if case.is_linear:
        channels = int(np.prod(case.shape))
        operations.append(Reshape(inputs=(name,), output="flat", shape=(channels,)))
        name = "flat"
    size = (case.num_outputs, channels // case.groups, *case.windows.kernel)
    low, high = case.weights
    weight = random.integers(low, high + 1, size)
    weight.flat[:2] = low, high
    num_bits = 8
    if case.form == "bits":
        weight, num_bits = np.where(weight < 0, -1, 1), 1
    elif case.form == "signs":
        weight, num_bits = np.sign(weight // 64), 2
    weight = weight.astype(np.int8)
    bias = random.integers(-99, 99, case.num_outputs).astype(np.int32)
    layer: Operation
    if case.is_linear:
        layer = Linear(
            inputs=(name,), output="y", weight=weight[:, :, 0, 0], weight_bits=num_bits, bias=bias
        )
    else:
        layer = Convolution(
            inputs=(name,), output="y", weight=weight, weight_bits=num_bits, bias=bias,
            padding_codes=np.full(channels, case.codes, np.int32), windows=case.windows,
            groups=case.groups,
        )  # fmt: skip
    operations.append(layer)
    if has_codes:
        signs = np.resize([1, 1, -1], case.num_outputs).astype(np.int8)
        operations.append(
            Threshold(
                inputs=("y",), output="codes", signs=signs, low=-3, step=5, kind=S8,
                thresholds=random.integers(-40, 90, (case.num_outputs, 1)),
            )
        )  # fmt: skip
    return Program(
        inputs={"x": TensorType(case.shape, U8)},
        operations=tuple(operations),
        outputs=(operations[-1].output,),
    )


def _inputs(case: Case) -> list[Operation]:
    """Return what makes the layer's input of bytes."""
    low, high = case.levels
    if case.levels == (0, 255):
        return []
    kind = S16 if high > 255 else S8 if case.is_signed or low < 0 else U8
    if case.form in ("bits", "signs"):
        signs = np.resize([1, -1, -1], case.shape[0]).astype(np.int8)
        thresholds = signs[:, None] * np.resize([7, 100, 190, 255], (case.shape[0], 1))
        return [
            Threshold(
                inputs=("x",), output="t", thresholds=thresholds.astype(np.int64), signs=signs,
                low=low, step=high - low, kind=kind,
            )
        ]  # fmt: skip
    if kind == S16:
        return [
            Requantize(
                inputs=("x",), output="t", multiplier=np.array(70), offset=np.array(-9000),
                shift=np.array(0), low=low, high=high, kind=S16,
            )
        ]  # fmt: skip
    table = np.resize(np.arange(low, high + 1), 256).astype(np.int16)
    return [Lookup(inputs=("x",), output="t", table=table, kind=kind)]
