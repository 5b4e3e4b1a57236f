"""The nearest products of two vectors."""

import torch
from torch import Tensor


def rank_one(matrices_BMN: Tensor) -> tuple[Tensor, Tensor]:
    """Return `u [B, M]` and `v [B, N]` of equal norms with the least squared error of `u v^T`."""
    u_BMK, s_BK, v_BKN = torch.linalg.svd(matrices_BMN, full_matrices=False)
    root_B1 = s_BK[:, :1].sqrt()
    return u_BMK[:, :, 0] * root_B1, v_BKN[:, 0] * root_B1
