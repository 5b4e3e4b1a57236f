"""Networks of generated weights beside the best dense ones: ResNet-18 for 32 x 32 images, 2-44.

    python -m benchmarks.generation_speed [--quick] [--name=SUFFIX]

All sides compute the same network, batch norms folded: the dense ones with the weights that the
factors generate (see `benchmarks.generation.dense_peers`), `3 stages` by torch's convolutions of
the factors, `fused` by one table of our kernels, which reads codes. They take turns in one process,
on 1 and 2 threads, with 1 and 64 images; where the processor has AMX, in bfloat16 too. The ratio is
the time of the fastest of torch's dense networks / the time, of bfloat16 that of the dense one in
bfloat16. roof: the multiplications that the form of a side has, over those of float32 that the
processor does in registers in that time (`quantlab.backend.peak_of_products`). weight_bytes: of
weights that a run reads.

Two more sides are integer programs on `FastEngine` (`benchmarks.generation.integers`): there the
ratio is that to the dense program of 8 bits, and roof is about products of bytes.

A second table has each kind of layer alone, on one thread, in all modes beside a prepacked dense
one; `docs/pictures/generation_bytes.svg` shows the bytes that a run reads of each. Then a child
process measures everything as on a processor with AVX2 alone, but onnxruntime, which nothing
bounds. On a processor of another kind `--name` names files of its own (`xeon`), without that child;
`--quick` writes none.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.generation import dense_peers
from benchmarks.generation.bytes_picture import Bar, picture
from benchmarks.generation.dense_peers import prepacked_layer, weight_of_row
from benchmarks.generation.forms import resnet18
from benchmarks.generation.integers import integer_rows
from benchmarks.harness import Row, by_isa, interleaved, markdown, report
from quantlab import backend
from quantlab.generation import convert
from quantlab.generation.execution import compile_for_inference
from quantlab.generation.execution.choice import random_input
from quantlab.generation.execution.find_steps import find_steps
from quantlab.generation.execution.mode import execution_modes
from quantlab.generation.execution.modules import layer_module
from quantlab.generation.execution.rows import ConvolveRow, Rows, rows_of
from quantlab.generation.execution.steps import Convolve
from quantlab.generation.factors import Factors
from quantlab.generation.inherit import dense_weights
from quantlab.generation.multiplications import multiplications, num_places
from quantlab.generation.shapes import FactorShapes
from quantlab.graphs.shapes import shape_of
from quantlab.graphs.trace import trace

AVX2 = {
    "QUANTLAB_ISA": "avx2",
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
}
FILES = {"network": "generation_speed", "layer": "generation_speed_layers"}
FUSED, STAGES = "fused", "3 stages"
DENSE, LAST, PREPACKED = "dense", "dense, channels last", "dense, prepacked"
ONNX = "dense, onnxruntime"
AMX, HALF, FUSED_HALF = "amx_bf16", "dense bfloat16, prepacked", "fused bfloat16"
_TOLERANCE, _HALF_TOLERANCE = 1e-4, 5e-2  # of the largest score
PICTURE = Path(__file__).parents[1] / "docs" / "pictures" / "generation_bytes.svg"
_PEAK_REPEATS = 200_000
Sides = dict[str, Callable[[], object]]


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A generated network, its layers and all its steps as one table. images: a batch in NHWC."""

    network: nn.Module
    layers: tuple[Convolve, ...]
    rows: Rows
    images: Tensor


def subject(batch: int) -> Subject:
    """Return ResNet-18 of random factors, whose batch norms have statistics of random images."""
    torch.manual_seed(0)
    network = resnet18()
    convert(network, {"base_in": 2, "base_out": 44})
    with torch.no_grad():
        network.train()(torch.randn(16, 3, 32, 32))
    return subject_of(network.eval(), torch.randn(batch, 3, 32, 32))


def subject_of(network: nn.Module, images: Tensor) -> Subject:
    """Return a network with all that is measured of it."""
    gm = trace(network, images)
    steps = find_steps(gm)
    (source,) = gm.graph.find_nodes(op="placeholder")
    return Subject(
        network=network,
        layers=tuple(step for step in steps if isinstance(step, Convolve)),
        rows=rows_of(steps, [source], [steps[-1].nodes[-1]]),
        images=images.contiguous(memory_format=torch.channels_last),
    )


def products(row: ConvolveRow, image: tuple[int, int, int], *, is_dense: bool) -> int:
    """Return the multiplications of a layer for one image `[H, W, C]`: of its weight, or of its
    factors in three stages."""
    window, factors = row.layer.window, row.layer.factors
    given = (
        Factors(coeff_out=None, coeff_in=None, basis=weight_of_row(row)) if is_dense else factors
    )
    v, u, b = given.coeff_out, given.coeff_in, given.basis
    shapes = FactorShapes(
        basis=tuple(b.shape),
        coeff_in=None if u is None else (u.shape[0], u.shape[1], u.shape[2]),
        coeff_out=None if v is None else (v.shape[0], v.shape[1]),
    )
    num_inputs, num_outputs = num_places(window, b.shape[2:], image[:2])
    return multiplications(
        shapes,
        "generated" if v is None and u is None else "factored",
        num_inputs=num_inputs,
        num_outputs=num_outputs,
        groups=window.groups,
    )


def products_of(rows: Rows, *, is_dense: bool) -> int:
    """Return the multiplications of all layers for one image."""
    return sum(
        products(row, rows.shapes[row.input], is_dense=is_dense)
        for row in rows.rows
        if isinstance(row, ConvolveRow)
    )


@cache
def peak() -> float:
    """Return the multiplications a second that one thread does in registers."""
    backend.peak_of_products(_PEAK_REPEATS)
    fastest = min(_seconds(lambda: backend.peak_of_products(_PEAK_REPEATS)) for _ in range(9))
    return backend.peak_of_products(_PEAK_REPEATS) / fastest


def dense_sides(one: Subject) -> Sides:
    """Return torch's dense networks."""
    x, nchw = one.images, one.images.contiguous()
    plain, last = dense_peers.contiguous(one.rows), dense_peers.channels_last(one.rows)
    packed = dense_peers.prepacked(one.rows, len(x))
    return {PREPACKED: lambda: packed(x), LAST: lambda: last(x), DENSE: lambda: plain(nchw)}


def half_sides(one: Subject) -> Sides:
    """Return the networks in bfloat16, where the processor has the instructions for it."""
    if AMX not in backend.kernels("factored_bf16"):
        return {}
    x = one.images.bfloat16()
    dense = dense_peers.prepacked(one.rows, len(x), torch.bfloat16)
    fused = compile_for_inference(one.network, one.images, mode="fused", precision="bfloat16")
    return {HALF: lambda: dense(x), FUSED_HALF: lambda: fused(one.images)}


def network_rows(num_threads: int, batch: int, repeats: int) -> Iterator[Row]:
    """Yield the comparison of whole networks."""
    torch.set_num_threads(num_threads)
    one = subject(batch)
    x, nchw = one.images, one.images.contiguous()
    stages = compile_for_inference(one.network, x, mode="factored")
    fused = compile_for_inference(one.network, x, mode="fused")
    sides = dense_sides(one)
    # Nothing bounds the instructions of onnxruntime.
    if not _is_bounded() and find_spec("onnxruntime") is not None:
        dense = resnet18()
        dense.load_state_dict(dense_weights(one.network))
        other = dense_peers.onnx(dense.eval(), nchw, num_threads)
        sides[ONNX] = lambda: other(nchw)
    sides |= {STAGES: lambda: stages(x), FUSED: lambda: fused(x), **half_sides(one)}
    _check_alike(one, sides)
    codes, stored = fused.report.bytes_read, stages.report.bytes_read
    weights = [weight_of_row(row) for row in one.rows.rows if isinstance(row, ConvolveRow)]
    count_weights = sum(weight.numel() for weight in weights)
    num_bytes = {STAGES: stored, FUSED: codes, FUSED_HALF: codes, HALF: 2 * count_weights}
    timed = interleaved(sides, repeats, seconds=0.05)
    fastest = min((DENSE, LAST, PREPACKED), key=lambda side: timed[side].seconds)
    for side, timing in timed.items():
        count = products_of(one.rows, is_dense=side not in (STAGES, FUSED, FUSED_HALF))
        peer = HALF if side in (HALF, FUSED_HALF) else fastest
        figures = {
            "what": "network",
            "side": side,
            "threads": num_threads,
            "images": batch,
            "ms_an_image": timing.seconds / batch * 1e3,
            "roof": count * batch / timing.seconds / (num_threads * peak()),
            "weight_bytes": num_bytes.get(side, 4 * count_weights),
        }
        yield Row(figures=figures, peer=peer, ratio=timed[peer].seconds / timing.seconds)


def layer_rows(batch: int, repeats: int) -> Iterator[Row]:
    """Yield each kind of layer alone in all modes, on one thread."""
    torch.set_num_threads(1)
    one = subject(batch)
    for step in kinds(one.layers):
        rows = rows_of([step], step.inputs, step.nodes[-1:])
        (row,), image = rows.rows, rows.shapes[0]
        assert isinstance(row, ConvolveRow)
        inputs = [random_input(node) for node in step.inputs]
        dense = prepacked_layer(row, image, batch, torch.float32)
        residual = None if row.residual is None else inputs[row.residual]
        modules = {mode: layer_module(step, mode) for mode in execution_modes(step.layer)}
        sides: Sides = {PREPACKED: lambda d=dense, i=inputs, r=residual: d(i[0], r)}
        sides |= {mode: lambda m=m, i=inputs: m(*i) for mode, m in modules.items()}
        num_bytes = {mode: m.sizes[step.layer.name].read for mode, m in modules.items()}
        for mode, timing in interleaved(sides, repeats, seconds=0.01).items():
            is_dense = mode in (PREPACKED, "generated") or row.layer.is_dense
            count = products(row, image, is_dense=is_dense)
            figures = {
                "what": "layer",
                "layer": layer_name(step),
                "images": batch,
                "mode": mode,
                "ms": timing.seconds * 1e3,
                "roof": count * batch / timing.seconds / peak(),
                "weight_bytes": num_bytes.get(mode, 4 * weight_of_row(row).numel()),
            }
            yield Row(figures=figures, peer=PREPACKED, ratio=timing.ratio)


def layer_name(step: Convolve) -> str:
    """Return a layer's channels, kernel and pixels: `64->128 3x3 @16x16`."""
    _, inputs, *_ = shape_of(step.input) or ()
    _, outputs, *pixels = shape_of(step.nodes[-1]) or ()
    kernel = "x".join(str(side) for side in step.layer.factors.basis.shape[2:])
    return f"{inputs}->{outputs} {kernel}" + (f" @{'x'.join(map(str, pixels))}" if pixels else "")


def kinds(layers: Iterable[Convolve]) -> list[Convolve]:
    """Return the first layer of each name."""
    first: dict[str, Convolve] = {}
    for step in layers:
        first.setdefault(layer_name(step), step)
    return list(first.values())


def bars(rows: Iterable[Row]) -> list[Bar]:
    """Return the bytes that a run reads of each kind of layer, dense and fused."""
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        figures = row.figures
        if figures["what"] == "layer" and figures["images"] == 1:
            name, mode = str(figures["layer"]), str(figures["mode"])
            found.setdefault(name, {})[mode] = int(figures["weight_bytes"])
    return [
        Bar(name=name, dense=sizes[PREPACKED], codes=sizes[FUSED]) for name, sizes in found.items()
    ]


def _is_bounded() -> bool:
    return "ONEDNN_MAX_CPU_ISA" in os.environ


@torch.no_grad()
def _check_alike(one: Subject, sides: Sides) -> None:
    """Raise ValueError unless all sides give the scores of the network."""
    expected = one.network(one.images)
    for side, run in sides.items():
        scores = run()
        assert isinstance(scores, Tensor)
        error = float((scores - expected).abs().max() / expected.abs().max())
        if not error <= (_HALF_TOLERANCE if side in (HALF, FUSED_HALF) else _TOLERANCE):
            raise ValueError(f"{side}: scores that differ by {error:.1e} of the largest one")


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def measured(*, is_quick: bool) -> list[Row]:
    """Return all rows of this process. is_quick: few turns, one thread, one image."""
    threads, batches, repeats = ((1,), (1,), 3) if is_quick else ((1, 2), (1, 64), 9)
    rows: list[Row] = []
    for batch in batches:
        for num_threads in threads:
            rows += network_rows(num_threads, batch, repeats)
            rows += integer_rows(num_threads, batch, repeats)
        rows += layer_rows(batch, repeats)
    return rows


def main() -> None:
    """Measure and report, here and in a child process as on AVX2."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="few turns, one thread and image; prints only"
    )
    parser.add_argument("--name", default="", help="suffix of the files, of other processors")
    options = parser.parse_args()
    rows = measured(is_quick=options.quick)
    for what in ("network", "layer"):
        chosen = [row for row in rows if row.figures["what"] == what]
        if options.quick:
            print(markdown(chosen))
            continue
        report(by_isa(FILES[what] + (f"_{options.name}" if options.name else "")), chosen)
    if not options.quick and not options.name and not _is_bounded():
        PICTURE.write_text(picture(bars(rows)), encoding="utf-8")
    if not options.name and backend.isa() != "avx2" and "avx2" in backend.supported_isas():
        command = [sys.executable, "-m", "benchmarks.generation_speed", *sys.argv[1:]]
        subprocess.run(command, env={**os.environ, **AVX2}, check=True)


if __name__ == "__main__":
    main()
