"""Kernels of sparse layers beside torch's dense layers: forward and backward pass on one thread.

Ours work on data in their own layout, without what the modules do around them (`sparse_modules` has
that). CPU time of one thread; the ratio is the dense float32 layer's time / the time. `roof`: the
part of the products a second that the forward kernel does where everything stays in the first cache
(it loads a number for each product; the backward kernel loads one for two, and may exceed it).

    python -m benchmarks.sparse_kernels

With AVX2 alone, on both sides:

    QUANTLAB_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
    MKL_ENABLE_INSTRUCTIONS=AVX2 python -m benchmarks.sparse_kernels
"""

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Row, interleaved, report
from benchmarks.sparse_layers import SPARSITIES, SUBJECTS, Subject
from benchmarks.sparse_modules import PEER, step
from quantlab import backend
from quantlab.sparse.batch_innermost import flat
from quantlab.sparse.plan import Plan
from quantlab.sparse.pruning import to_sparse

REPEATS = 9
_CONNECTIONS = 20_000
_TILE = 128


def roof() -> float:
    """Return products a second of `sparse_product` on one row of weights that all read the same."""
    plan = backend.ProductPlan(
        np.array([0, _CONNECTIONS], np.int64),
        np.zeros(_CONNECTIONS, np.int32),
        np.arange(_CONNECTIONS, dtype=np.int64),
        1,
        (1, _TILE, _TILE),
        (_TILE, _TILE),
    )
    x, values = np.ones(_TILE, np.float32), np.ones(_CONNECTIONS, np.float32)
    out = np.empty(_TILE, np.float32)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        backend.sparse_product(plan, x, values, None, out, num_threads=1)
        times.append(time.perf_counter() - start)
    return _CONNECTIONS * _TILE / min(times)


def forward(plan: Plan, x: Tensor, values: Tensor) -> Callable[[], object]:
    """Return the kernel of outputs."""
    planes, out = np.empty(plan.x_numbers, np.float32), np.empty(plan.product.out_size, np.float32)
    backend.lay_out(plan.x_layout, flat(x), planes)
    return lambda: backend.sparse_product(plan.product, planes, flat(values), None, out)


def backward(plan: Plan, x: Tensor, values: Tensor) -> Callable[[], object]:
    """Return the kernel of both gradients."""
    planes, y = np.empty(plan.x_numbers, np.float32), np.empty(plan.y_numbers, np.float32)
    backend.lay_out(plan.x_layout, flat(x), planes)
    backend.lay_out(plan.y_layout, flat(torch.randn(plan.out_shape)), y)
    x_gradient, gradients = np.empty_like(planes), np.zeros(len(values), np.float32)
    return lambda: backend.sparse_gradient(
        plan.gradient, planes, y, flat(values), x_gradient, gradients
    )


def row(subject: Subject, sparsity: float, peak: float) -> Row:
    """Return the comparison of one layer."""
    dense, mask = subject.layer(sparsity)
    layer, x = to_sparse(dense, mask), subject.x()
    plan = layer.plan_for(x)
    sides = {
        PEER: step(dense, x),
        "forward": forward(plan, x, layer.weight.detach()),
        "backward": backward(plan, x, layer.weight.detach()),
    }
    times = interleaved(sides, REPEATS, seconds=0.02, clock=time.thread_time)
    ours = times["forward"].seconds + times["backward"].seconds
    products = subject.num_products(layer.pattern.num_values)
    figures = {
        "layer": subject.name,
        "sparsity": sparsity,
        "isa": backend.isa(),
        "dense_ms": times[PEER].seconds * 1e3,
        "forward_ms": times["forward"].seconds * 1e3,
        "backward_ms": times["backward"].seconds * 1e3,
        "forward_roof": products / times["forward"].seconds / peak,
        "backward_roof": 2 * products / times["backward"].seconds / peak,
    }
    return Row(figures=figures, peer=PEER, ratio=times[PEER].seconds / ours)


if __name__ == "__main__":
    torch.set_num_threads(1)
    highest = roof()
    name = "sparse_kernels" if backend.isa() != "avx2" else "sparse_kernels_avx2"
    report(name, [row(subject, s, highest) for subject in SUBJECTS for s in SPARSITIES])
