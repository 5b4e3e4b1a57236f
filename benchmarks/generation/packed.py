"""A generated network as its pack: the bytes of the file, and the top-1 of what is read from it."""

from functools import partial
from pathlib import Path

import numpy as np
from torch import nn

from benchmarks.generation.tested import photos_of, top1_of
from benchmarks.generation.torch_program import scores
from experiments.protocols import Source
from quantlab.packs import load, make_pack, save

_NUM_COMPARED = 4  # photos
_NEARLY = 1e-3  # of the largest score


def packed(
    network: nn.Module, file: Path, *, source: Source = "auto", limit: int | None = None
) -> tuple[int, float]:
    """Write the pack of a network, read it again; return its bytes and its top-1 in percent.

    The program in the file is run by torch, and by the pack itself for a few photos. source: of the
    photos, as `data.source`. limit: test on the first ones only. Raises RuntimeError if the two
    have other scores.
    """
    inputs, targets = photos_of(source, limit)
    save(make_pack(network.cpu(), inputs[:2]), file)
    pack = load(file)
    some = inputs[:_NUM_COMPARED]
    own, theirs = pack.scores(some.numpy()), scores(pack.program, some).numpy()
    difference = float(np.abs(own - theirs).max() / np.abs(own).max())
    if not difference < _NEARLY:
        raise RuntimeError(f"{file}: torch's scores differ by {difference:.2g} of the largest")
    return file.stat().st_size, top1_of(partial(scores, pack.program), inputs, targets)
