"""The error of trained convolutions projected on generated weights, at equal bits.

    python -m benchmarks.generation_projection [FOLDER] [--only=ResNet-20]

FOLDER keeps each row, so that what is killed goes on. All rows take about ten minutes on a thread.

One row a layer. Columns are relative Frobenius errors |W - W'| / |W|. Of 2 kernels a basis and bits
3-6-3: `train_last` and `train_best`, the published gradient descent at its last step and at its
best one, `svd` and `als`, rounded to the nearest levels, and `qals`. In the bytes of these:
`allocated`, other bases and bits (`form`: kernels a basis - bases - bits), entropy-coded by
`quantlab.numerics.entropy`; `codebooks` of kernels by k-means, and `scalars`, both with indices and
codes of the size of their entropy. seconds: of the thread, those of `allocated` with the search for
the form. Row.ratio: train_last / qals.
"""

import json
from argparse import ArgumentParser
from dataclasses import asdict, replace
from pathlib import Path
from time import thread_time

import torch

from benchmarks.harness import Figure, Row, origin, report
from benchmarks.projection.codebooks import codebook_error
from benchmarks.projection.layers import Layer, layers
from benchmarks.projection.scalars import scalar_error
from quantlab.generation.allocation.fitted import fit
from quantlab.generation.allocation.options import generated_bytes
from quantlab.generation.projection import project
from quantlab.generation.projection.error import relative_error
from quantlab.generation.projection.levels import levels_of
from quantlab.generation.projection.train import train
from quantlab.generation.shapes import factor_shapes
from quantlab.generation.spec import MLGSpec


def row_of(layer: Layer) -> Row:
    """Measure a layer."""
    spec = MLGSpec(base_out=layer.bases)
    nbytes = generated_bytes(layer.weight.shape, spec)
    trained, best, seconds = published(layer, spec)
    figures: dict[str, Figure] = {
        "network": layer.network,
        "layer": layer.name,
        "shape": "x".join(map(str, layer.weight.shape)),
        "bases": layer.bases,
        "bits_per_weight": 8 * nbytes / layer.weight.numel(),
        "train_last": trained,
        "train_best": best,
        "svd": project(layer.weight, spec, method="svd").error,
        "als": project(layer.weight, spec, method="als").error,
    }
    start = thread_time()
    figures["qals"] = project(layer.weight, spec, method="qals").error
    qals_seconds = thread_time() - start
    start = thread_time()
    figures["allocated"], figures["form"] = allocated(layer, nbytes)
    allocated_seconds = thread_time() - start
    figures["codebooks"] = codebook_error(layer.weight, nbytes)
    figures["scalars"] = scalar_error(layer.weight, nbytes)
    figures["train_seconds"] = seconds
    figures["qals_seconds"] = qals_seconds
    figures["allocated_seconds"] = allocated_seconds
    return Row(figures=figures, peer="train, last step", ratio=trained / float(figures["qals"]))


def published(layer: Layer, spec: MLGSpec) -> tuple[float, float, float]:
    """Return the errors of the last and the best step of the published method, and its seconds."""
    view = layer.weight.flatten(2)
    start = thread_time()
    done = train(view, factor_shapes(view.shape, spec), levels_of(spec, None), seed=0)
    seconds = thread_time() - start
    last, best = (relative_error(view, one.factors) for one in (done.last, done.best))
    return last, best, seconds


def allocated(layer: Layer, nbytes: int) -> tuple[float, str]:
    """Return the least error of other forms in the same bytes, and that form."""
    done = fit(layer.weight, nbytes)
    assert done is not None
    assert done.nbytes <= nbytes
    spec = done.spec
    bits = "-".join(map(str, (spec.basis_bit, spec.coeff_in_bit, spec.coeff_out_bit)))
    return done.projection.error, f"{spec.base_in}-{spec.base_out}-{bits}"


def summary(rows: list[Row]) -> str:
    """Return what holds of all layers together."""

    def of(name: str) -> torch.Tensor:
        return torch.tensor([float(row.figures[name]) for row in rows], dtype=torch.float64)

    qals, allocated_ = of("qals"), of("allocated")
    rival = torch.minimum(of("codebooks"), of("scalars"))
    return "\n".join(
        [
            f"qals beside train's last step: {(1 - qals / of('train_last')).mean():.1%} less error",
            f"qals beside train's best step, worst layer: {(qals / of('train_best')).max():.3f}",
            f"time of qals / train: {of('qals_seconds').sum() / of('train_seconds').sum():.3f}, "
            f"worst layer {(of('qals_seconds') / of('train_seconds')).max():.3f}",
            f"allocated beside 3-6-3: {(1 - allocated_ / qals).mean():.1%} less error",
            f"allocated beside the better rival, worst layer: {(allocated_ / rival).max():.3f}",
        ]
    )


def kept(layer: Layer, folder: Path | None) -> Row:
    """Return the row of a layer, measured now unless the folder has it."""
    path = None if folder is None else folder / f"{layer.network} {layer.name}.json"
    if path is not None and path.exists():
        return Row(**json.loads(path.read_text(encoding="utf-8")))
    row = replace(row_of(layer), origin=origin())
    print(dict(row.figures), flush=True)
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(asdict(row)), encoding="utf-8")
    return row


def main() -> None:
    """Measure and report."""
    parser = ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--only", default="", help="a part of the names of networks")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = [kept(layer, given.folder) for layer in layers() if given.only in layer.network]
    report("generation_projection", rows)
    print(summary(rows))


if __name__ == "__main__":
    main()
