"""Codebooks of kernels: product quantization of weights, fine-tuned (P. Stock et al., "And the bit
goes down: revisiting the quantization of neural networks", 2019, with plain k-means; where
assignments are found anew in each step, as of A. van den Oord et al., "Neural discrete
representation learning", 2017, equation 3, without its second and third term).

A filter's kernels, `kernels` at a time, are one of `num_centroids` sets; each filter has a scale,
which folds into the batch norm behind it.

    W[o] = scale[o] codebook[indices[o]]
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.generation.rivals.replace import is_dense, replace_convolutions

_NUM_ROUNDS = 30
_CHUNK = 65536  # vectors at a time, for which distances are kept
CENTROID_BITS = 16
SMALL_KERNELS = 8


class CodebookConv2d(nn.Module):
    """A convolution with kernels from a codebook.

    Backward: centroids sum the gradients of the kernels that they stand for. With `is_sought` a
    weight of full precision is trained beside them and chooses the nearest centroids in each step;
    it gets the gradients of the kernels, and is in no file.
    """

    indices: Tensor
    scale: Tensor

    def __init__(
        self, conv: nn.Conv2d, num_centroids: int, kernels: int, is_sought: bool, seed: int
    ) -> None:
        super().__init__()
        self.stride, self.padding, self.dilation = conv.stride, conv.padding, conv.dilation
        self.bias = conv.bias
        self.shape = conv.weight.shape
        vectors = conv.weight.detach().flatten(1)
        scale = vectors.norm(dim=1, keepdim=True).clamp(min=1e-12)
        vectors = (vectors / scale).view(-1, kernels * self.shape[2] * self.shape[3])
        num_centroids = min(num_centroids, len(vectors))
        if vectors.is_meta:
            codebook = vectors[:num_centroids]
            indices = torch.empty(len(vectors), dtype=torch.int64, device="meta")
        else:
            codebook, indices = k_means(vectors, num_centroids, seed)
        self.codebook = nn.Parameter(codebook.clone())
        self.latent = nn.Parameter(vectors.clone()) if is_sought else None
        self.register_buffer("indices", indices)
        self.register_buffer("scale", scale.view(-1, 1, 1, 1))
        self.num_scales = len(scale)

    @property
    def weight(self) -> Tensor:
        """The kernels `[O, I, K, K]`."""
        codebook = self.codebook.to(torch.float16).to(self.codebook.dtype)  # as stored
        if self.latent is not None and self.training:
            with torch.no_grad():
                self.indices.copy_(_nearest(self.latent, codebook))
        vectors = functional.embedding(self.indices, codebook)
        if self.latent is not None:
            vectors = vectors + (self.latent - self.latent.detach())
        return self.scale * vectors.view(self.shape)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return functional.conv2d(
            x_NCHW, self.weight, self.bias, self.stride, self.padding, self.dilation
        )

    def stored_bytes(self, bits: int) -> int:
        """Return the bytes of indices and centroids, whose bits are their own; see `stored.py`.

        Indices of any number of centroids are packed as the digits of one long number.
        """
        num_centroids, size = self.codebook.shape
        indices = math.ceil(self.indices.numel() * math.log2(num_centroids) / 8)
        return indices + math.ceil(num_centroids * size * CENTROID_BITS / 8)


def convert(
    network: nn.Module,
    *,
    num_centroids: int,
    kernels: int = 2,
    is_sought: bool = False,
    seed: int = 0,
) -> nn.Module:
    """Replace 3x3 convolutions of a multiple of `kernels` input channels, and 1x1 convolutions of a
    multiple of SMALL_KERNELS, which are taken so many at a time; see the package."""

    def size(conv: nn.Conv2d) -> int:
        return SMALL_KERNELS if conv.kernel_size == (1, 1) else kernels

    return replace_convolutions(
        network,
        lambda conv: CodebookConv2d(conv, num_centroids, size(conv), is_sought, seed),
        lambda conv: is_dense(conv) and conv.in_channels % size(conv) == 0,
    )


def k_means(vectors_VD: Tensor, num_centroids: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return centroids `[C, D]` and the nearest one of each vector `[V]`, by Lloyd's rounds from
    vectors drawn by the seed. A centroid that none is nearest to stays where it is."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(vectors_VD), generator=generator)[:num_centroids]
    centroids_CD = vectors_VD[drawn.to(vectors_VD.device)].clone()
    indices_V = _nearest(vectors_VD, centroids_CD)
    for _ in range(_NUM_ROUNDS):
        sums_CD = torch.zeros_like(centroids_CD).index_add_(0, indices_V, vectors_VD)
        counts_C1 = torch.bincount(indices_V, minlength=num_centroids)[:, None]
        centroids_CD = torch.where(counts_C1 > 0, sums_CD / counts_C1.clamp(min=1), centroids_CD)
        indices_V = _nearest(vectors_VD, centroids_CD)
    return centroids_CD, indices_V


def _nearest(vectors_VD: Tensor, centroids_CD: Tensor) -> Tensor:
    """Return the nearest centroid of each vector."""
    halves_C = centroids_CD.square().sum(1) / 2
    parts = [
        (halves_C - part_VD @ centroids_CD.t()).argmin(1) for part_VD in vectors_VD.split(_CHUNK)
    ]
    return torch.cat(parts)
