"""A codebook of kernels, found by k-means (P. Stock et al., And the bit goes down, 2020,
arXiv:1907.05686, with plain errors of the weight).

Each kernel of 9 weights is one of K centroids, stored in 4, 6 or 8 bits with one scale; the indices
take what their entropy is, their table is free.
"""

import math

import torch
from torch import Tensor

from benchmarks.projection.scalars import entropy

CENTROID_BITS = (4, 6, 8)
_SCALE_BYTES = 4
_ROUNDS = 30
_STARTS = 3


def codebook_error(weight: Tensor, nbytes: int) -> float:
    """Return the least relative error of codebooks of a weight `[Co, Ci, ...]` in so many bytes."""
    vectors = weight.flatten(2).flatten(0, 1)
    errors = []
    for num_bits in CENTROID_BITS:
        budget = 8 * (nbytes - _SCALE_BYTES)
        count = _most(len(vectors), vectors.shape[1] * num_bits, budget)
        while 0 < count <= len(vectors):
            fitting = []
            for seed in range(_STARTS):
                centroids, nearest = kmeans(vectors, count, seed)
                if entropy(nearest) + centroids.numel() * num_bits <= budget:
                    step = centroids.abs().max().clamp(min=1e-12) / (2 ** (num_bits - 1) - 0.5)
                    made = ((torch.floor(centroids / step) + 0.5) * step)[nearest]
                    fitting.append(float((vectors - made).norm() / vectors.norm()))
            if not fitting:
                break
            errors += fitting
            count += max(1, count // 20)
    return min(errors, default=1.0)


def kmeans(vectors: Tensor, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return `count` centroids and the index of each vector's, from a start by k-means++."""
    generator = torch.Generator().manual_seed(seed)
    centroids = vectors[torch.randint(len(vectors), (1,), generator=generator)]
    distances = (vectors - centroids).square().sum(1)
    while len(centroids) < count:
        one = torch.multinomial(distances.clamp(min=1e-12), 1, generator=generator)
        centroids = torch.cat([centroids, vectors[one]])
        distances = torch.minimum(distances, (vectors - vectors[one]).square().sum(1))
    for _ in range(_ROUNDS):
        nearest = torch.cdist(vectors, centroids).argmin(1)
        sums = torch.zeros_like(centroids).index_add_(0, nearest, vectors)
        sizes = torch.bincount(nearest, minlength=count)
        centroids = torch.where(sizes[:, None] > 0, sums / sizes.clamp(min=1)[:, None], centroids)
    return centroids, torch.cdist(vectors, centroids).argmin(1)


def _most(num_vectors: int, centroid_bits: int, num_bits: int) -> int:
    """Return the most centroids whose bits, with those of the indices, fit; 0 if none do."""
    count = 0
    while num_vectors * math.log2(count + 1) + (count + 1) * centroid_bits <= num_bits:
        count += 1
    return min(count, num_vectors)
