"""Sparse layers beside dense ones: forward and backward pass, with all that the modules do.

The sides take turns in one process: torch's dense layer in float32 with the same zeros, the same
in bfloat16, torch's CSR (linear layers; its backward pass gives the input's gradient alone), and
ours; convolutions also as they are within blocks, where images have the batch innermost in memory.
On one thread CPU time is measured, on two wall-clock time. Freed memory is kept, as in training:
otherwise large dense tensors take up to three times as long, by whether the system clears their
pages anew. The ratio is the dense float32 layer's time / the time.

    python -m benchmarks.sparse_modules

With the variables QUANTLAB_ISA=avx2 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 all sides
compute as on a processor with AVX2 alone.
"""

import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.harness import Row, by_isa, interleaved, report
from benchmarks.sparse_layers import ONE_SAMPLE, SPARSITIES, SUBJECTS, Subject
from quantlab.memory.allocator import keep_freed_memory
from quantlab.sparse.batch_innermost import empty
from quantlab.sparse.pruning import FLOAT, HALF, INT8, to_sparse

REPEATS = 7
PEER = "dense float32"
Layer = Callable[[Tensor], Tensor]


def step(layer: Layer, x: Tensor) -> Callable[[], object]:
    """Return a forward and a backward pass, which gives gradients of inputs and weights."""
    x = x.clone().requires_grad_()
    parameters = list(layer.parameters()) if isinstance(layer, nn.Module) else []
    gradient = torch.randn_like(layer(x).detach())  # lies in memory as the output does

    def run() -> None:
        x.grad = None
        for parameter in parameters:
            parameter.grad = None
        layer(x).backward(gradient)

    return run


def sides(subject: Subject, sparsity: float) -> dict[str, Callable[[], object]]:
    """Return what is measured, the peer first."""
    dense, mask = subject.layer(sparsity)
    half, _ = subject.layer(sparsity)
    x = subject.x()
    found = {PEER: step(dense, x)}
    if torch.backends.cpu.get_cpu_capability() != "AVX2":  # which has no instructions for it
        found["dense bfloat16"] = step(half.bfloat16(), x.bfloat16())
    for name, layers in (("float32", FLOAT), ("float16", HALF), ("int8", INT8)):
        layer = to_sparse(dense, mask, layers)
        found[f"sparse {name}"] = step(layer, x)
        if x.ndim == 4:
            found[f"sparse {name} within blocks"] = step(layer, batch_innermost(x))
    if isinstance(dense, nn.Linear):
        rows = dense.weight.detach().to_sparse_csr()
        found["torch CSR"] = step(lambda x: torch.sparse.mm(rows, x.T).T, x)
    return found


def batch_innermost(x: Tensor) -> Tensor:
    """Return the same images in the other order of memory."""
    return empty(tuple(x.shape), x.dtype, batch_innermost=True).copy_(x)


def rows() -> list[Row]:
    """Return the comparison of all layers."""
    found = []
    for subject in (*SUBJECTS, *ONE_SAMPLE):
        for sparsity in SPARSITIES:
            times = {}
            for num_threads, clock in ((1, time.thread_time), (2, time.perf_counter)):
                torch.set_num_threads(num_threads)
                measured = sides(subject, sparsity)
                times[num_threads] = interleaved(measured, REPEATS, seconds=0.02, clock=clock)
            for side, one in times[1].items():
                two = times[2][side]
                figures = {
                    "layer": subject.name,
                    "sparsity": sparsity,
                    "side": side,
                    "ms_1_thread": one.seconds * 1e3,
                    "ms_2_threads": two.seconds * 1e3,
                    "scaling": one.seconds / two.seconds,
                    "ratio_2_threads": two.ratio,
                }
                found.append(Row(figures=figures, peer=PEER, ratio=one.ratio))
    return found


if __name__ == "__main__":
    keep_freed_memory()
    report(by_isa("sparse_modules"), rows())
