"""The kernels by the names of their encodings."""

from collections.abc import Mapping

from quantlab.deploy.c.kernels.bitmap import BitmapKernel
from quantlab.deploy.c.kernels.bits import BitsKernel
from quantlab.deploy.c.kernels.blocks import BlocksKernel
from quantlab.deploy.c.kernels.csr import CsrKernel
from quantlab.deploy.c.kernels.delta import DeltaKernel
from quantlab.deploy.c.kernels.dense import Dense
from quantlab.deploy.c.kernels.kernel import Kernel
from quantlab.deploy.c.kernels.nibbles import NibblesKernel
from quantlab.deploy.c.kernels.rice import RiceKernel

_ROWS: tuple[Kernel, ...] = (
    Dense(),
    *(BitsKernel(num_bits) for num_bits in (1, 2, 4)),
    CsrKernel(),
    DeltaKernel(),
    BitmapKernel(),
    BlocksKernel(),
    NibblesKernel(),
    RiceKernel(),
)

KERNELS: Mapping[str, Kernel] = {kernel.encoding: kernel for kernel in _ROWS}
DENSE = _ROWS[0].encoding
AUTO = "auto"
SMALL, TINY = "small", "tiny"
CHOICES = (AUTO, "smallest", SMALL, TINY)
"""Names that leave the choice to `choice.py`."""
