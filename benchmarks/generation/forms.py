"""The rivals as families of networks: each has a size, from which its bytes in a file follow.

`fitted` finds the largest network whose file is within a budget of bytes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

from benchmarks.generation.rivals import bsconv, circnn, codebooks, dsconv, penni, svd
from benchmarks.generation.rivals.stored import file_bytes
from problems.CIFAR10.MobileNetV2.network import MobileNetV2
from problems.CIFAR10.MobileNetV3.network import MobileNetV3
from problems.CIFAR10.ResNet.network import ResNet
from quantlab.errors import UsageError, did_you_mean


def resnet18(width: float = 64) -> ResNet:
    """Return the dense network, or a narrower one."""
    return ResNet(18, width=int(width), fc_bias=False)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A family. sizes: rising, of which bytes are a rising function; none: there is one size.

    from_dense: `build` makes the network of the trained dense one (else it begins at random).
    bits: of LSQ's weights but for the last layer's.
    inner: selects layers that no batch norm follows, which have one scale each.
    is_rated: a rate term brings the weights' codes to the budget instead.
    optimizer: a name of `benchmarks.generation.rows.OPTIMIZERS`.
    """

    build: Callable[[nn.Module, float], nn.Module]
    sizes: Sequence[float] = ()
    from_dense: bool = False
    bits: int = 4
    inner: str | None = None
    is_rated: bool = False
    optimizer: str = "sgd"


def _narrowed(
    convert: Callable[[nn.Module], nn.Module] | None = None, inner: str | None = None
) -> Form:
    def build(_: nn.Module, width: float) -> nn.Module:
        network = resnet18(width)
        return network if convert is None else convert(network)

    return Form(build=build, sizes=range(4, 65), inner=inner)


_SHARES = [step / 512 for step in range(1, 257)]
_WIDTHS = [step / 64 for step in range(4, 129)]

FORMS: dict[str, Form] = {
    "narrow": _narrowed(),
    "bsconv": _narrowed(bsconv.convert, inner="*.pointwise"),
    "dsconv": _narrowed(dsconv.convert, inner="*.depthwise"),
    "penni": _narrowed(penni.convert, inner="*.basis"),
    "circnn": _narrowed(circnn.convert),
    "svd": Form(
        build=lambda dense, share: svd.convert(dense, share=share),
        sizes=_SHARES,
        from_dense=True,
        inner="*.narrow",
    ),
    "codebooks": Form(
        build=lambda dense, count: codebooks.convert(dense, num_centroids=int(count)),
        sizes=range(2, 257),
        from_dense=True,
        optimizer="adamw",
    ),
    "sought-codebooks": Form(
        build=lambda dense, count: codebooks.convert(
            dense, num_centroids=int(count), is_sought=True
        ),
        sizes=range(2, 257),
        from_dense=True,
        optimizer="adamw",
    ),
    "ternary-rate": Form(build=lambda dense, _: dense, from_dense=True, bits=2, is_rated=True),
    "uniform-rate": Form(build=lambda dense, _: dense, from_dense=True, bits=4, is_rated=True),
    "mobilenetv2": Form(build=lambda _, width: MobileNetV2(width=width), sizes=_WIDTHS),
    "mobilenetv3": Form(build=lambda _, width: MobileNetV3(width=width), sizes=_WIDTHS),
}


def form(name: str) -> Form:
    """Return a family. Raises UsageError with the nearest name."""
    if name not in FORMS:
        hint = did_you_mean(name, list(FORMS))
        raise UsageError(f"form: {name!r} given, {', '.join(FORMS)} allowed{hint}")
    return FORMS[name]


def size_within(name: str, budget: int) -> float:
    """Return the largest size of a family whose file has at most `budget` bytes. Raises UsageError
    if the smallest has more."""
    family = form(name)
    fits = partial(_bytes_at, family)
    low, high = 0, len(family.sizes)
    while low < high:
        middle = (low + high) // 2
        if fits(family.sizes[middle]) <= budget:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        least = fits(family.sizes[0])
        raise UsageError(f"{name}: a budget of {budget} bytes given, at least {least} allowed")
    return family.sizes[low - 1]


def _bytes_at(family: Form, size: float) -> int:
    with torch.device("meta"):
        return file_bytes(family.build(resnet18(), size), family.bits)
