"""Kernels of sparse layers beside torch's dense layers: forward and backward pass on one thread.

Ours work on data in their own layout and precision, without what the modules do around them
(`sparse_modules` has that). CPU time of one thread; the ratio is the dense float32 layer's time /
the time. `roof`: the part of the products a second that the forward kernel of the same numbers does
where everything stays in the first cache (of floats it loads a number for each product; the
backward kernel loads one for two, and may exceed it).

    python -m benchmarks.sparse_kernels

With AVX2 alone, on both sides:

    QUANTLAB_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
    MKL_ENABLE_INSTRUCTIONS=AVX2 python -m benchmarks.sparse_kernels
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.harness import Row, by_isa, interleaved, report
from benchmarks.sparse_layers import SPARSITIES, SUBJECTS, Subject
from benchmarks.sparse_modules import PEER, step
from quantlab import backend
from quantlab.sparse.batch_innermost import flat
from quantlab.sparse.layouts import lay_out
from quantlab.sparse.plan import Plan
from quantlab.sparse.pruning import FLOAT, HALF, INT8, to_sparse

REPEATS = 9
_CONNECTIONS = 20_000
_TILE = 128
BFLOAT16 = "dense bfloat16"


Kernel = Callable[[], object]


class Kernels(NamedTuple):
    """Of a layer's outputs, and of its gradients."""

    forward: Kernel
    backward: Kernel


def of_floats(plan: Plan, x: Tensor, values: Tensor, dtype: torch.dtype) -> Kernels:
    """Return the kernels on planes of float32 or float16."""
    planes, y = torch.empty(plan.x_numbers, dtype=dtype), torch.empty(plan.y_numbers, dtype=dtype)
    lay_out(plan.x_layout, x, planes)
    lay_out(plan.y_layout, torch.randn(plan.out_shape), y)
    out, x_gradient = np.empty(plan.product.out_size, np.float32), torch.empty(plan.x_numbers)
    gradients = torch.zeros_like(values)

    def forward() -> None:
        backend.sparse_product(plan.product, planes.numpy(), flat(values), None, out)

    def backward() -> None:
        backend.sparse_gradient(
            plan.gradient,
            planes.numpy(),
            y.numpy(),
            flat(values),
            x_gradient.numpy(),
            gradients.numpy(),
        )

    return Kernels(forward, backward)


def of_bytes(plan: Plan, x: Tensor, values: Tensor) -> Kernels:
    """Return the kernels on planes of int8, with weights that are codes already."""
    planes, y = (torch.empty(n, dtype=torch.uint8) for n in (plan.x_numbers, plan.y_numbers))
    backend.lay_out_int8(plan.x_layout, flat(x), planes.numpy(), 0.03)
    backend.lay_out_int8(plan.y_layout, flat(torch.randn(plan.out_shape)), y.numpy(), 0.03)
    out, x_gradient = np.empty(plan.product.out_size, np.float32), torch.empty(plan.x_numbers)
    gradients = torch.zeros_like(values)
    rows, columns = (codes(part, values) for part in (plan.product_int8, plan.gradient_int8))

    def forward() -> None:
        backend.sparse_product_int8(plan.product_int8, planes.numpy(), *rows, None, out)

    def backward() -> None:
        backend.sparse_product_int8(
            plan.gradient_int8, y.numpy(), *columns, None, x_gradient.numpy()
        )
        backend.sparse_gradient_int8(
            plan.gradient, planes.numpy(), y.numpy(), 1.0, gradients.numpy()
        )

    return Kernels(forward, backward)


def codes(plan: backend.Int8Plan, values: Tensor) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return quantized weights and their scales."""
    found = np.empty(plan.num_weights, np.int8), np.empty(plan.num_rows, np.float32)
    backend.quantize_rows(plan, flat(values), *found)
    return found


ARITHMETICS = {
    "float32": (FLOAT, partial(of_floats, dtype=torch.float32)),
    "float16": (HALF, partial(of_floats, dtype=torch.float16)),
    "int8": (INT8, of_bytes),
}


def roof(arithmetic: str) -> float:
    """Return products a second of a forward kernel on one row of weights that all read the same."""
    plan = backend.ProductPlan(
        np.array([0, _CONNECTIONS], np.int64),
        np.zeros(_CONNECTIONS, np.int32),
        np.arange(_CONNECTIONS, dtype=np.int64),
        1,
        (1, _TILE, _TILE),
        (_TILE, _TILE),
    )
    values, out = torch.ones(_CONNECTIONS), np.empty(_TILE, np.float32)
    if arithmetic == "int8":
        narrow = backend.Int8Plan(plan)
        x, weights = np.ones(_TILE, np.uint8), codes(narrow, values)
        run = partial(backend.sparse_product_int8, narrow, x, *weights, None, out)
    else:
        numbers = np.ones(_TILE, np.float16 if arithmetic == "float16" else np.float32)
        run = partial(backend.sparse_product, plan, numbers, flat(values), None, out)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        run(num_threads=1)
        times.append(time.perf_counter() - start)
    return _CONNECTIONS * _TILE / min(times)


def rows(subject: Subject, sparsity: float, roofs: Mapping[str, float]) -> list[Row]:
    """Return the comparison of one layer."""
    dense, mask = subject.layer(sparsity)
    narrow, _ = subject.layer(sparsity)
    x = subject.x()
    sides = {PEER: step(dense, x), BFLOAT16: step(narrow.bfloat16(), x.bfloat16())}
    num_values = int(mask.sum())
    for name, (layers, kernels) in ARITHMETICS.items():
        layer = to_sparse(dense, mask, layers)
        made = kernels(layer.plan_for(x), x, layer.weight.detach())
        sides |= {f"{name} forward": made.forward, f"{name} backward": made.backward}
    times = interleaved(sides, REPEATS, seconds=0.02, clock=time.thread_time)
    products = subject.num_products(num_values)
    found = []
    for name in ARITHMETICS:
        forward, backward = (times[f"{name} {way}"].seconds for way in ("forward", "backward"))
        figures = {
            "layer": subject.name,
            "sparsity": sparsity,
            "numbers": name,
            "isa": backend.isa(),
            "dense_ms": times[PEER].seconds * 1e3,
            "forward_ms": forward * 1e3,
            "backward_ms": backward * 1e3,
            "forward_roof": products / forward / roofs[name],
            "backward_roof": 2 * products / backward / roofs[name],
            "to_bfloat16": times[BFLOAT16].seconds / (forward + backward),
        }
        ratio = times[PEER].seconds / (forward + backward)
        found.append(Row(figures=figures, peer=PEER, ratio=ratio))
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    highest = {arithmetic: roof(arithmetic) for arithmetic in ARITHMETICS}
    report(
        by_isa("sparse_kernels"),
        [row for subject in SUBJECTS for s in SPARSITIES for row in rows(subject, s, highest)],
    )
