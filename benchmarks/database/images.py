"""The images that networks classify: the problem's test images where they lie here, else made-up
ones, which cost as much."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.database.programs import network_named, smooth_images
from experiments.deployment.samples import raw_samples
from experiments.library import load_problem
from experiments.storage import ensure_links
from quantlab.errors import DataError

_SEED = 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """pixels: `[N, C, H, W]`, uint8. targets: `[N]`, None of made-up images."""

    pixels: NDArray[np.uint8]
    targets: NDArray[np.int64] | None

    @property
    def rows(self) -> list[bytes]:
        """The pixels of each image, in C order."""
        return [image.tobytes() for image in self.pixels]


def images_of(name: str, count: int) -> Images:
    """Return so many images of a network's problem; the first ones again where it has fewer."""
    chosen = network_named(name)
    problem = load_problem(chosen.problem)
    ensure_links(problem)
    try:
        data = problem.data.load(problem.data_folder, "auto")
    except DataError:
        made = smooth_images(min(count, 1000), chosen.shape, seed=_SEED).numpy()
        return Images(pixels=np.resize(made, (count, *chosen.shape)), targets=None)
    raw, targets = raw_samples(data.test, chosen.library, count)
    pixels: NDArray[Any] = raw.numpy()
    return Images(
        pixels=np.resize(pixels, (count, *chosen.shape)), targets=np.resize(targets.numpy(), count)
    )
