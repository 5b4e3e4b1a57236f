"""Standardization of rows on the integer grid of a program's input.

Shapes: N rows, F features.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import torch
from torch import Tensor

from quantlab.errors import UsageError
from quantlab.integer.encoding import Encoding

_ZERO_POINT = 128  # of codes from 0 to 255
_HIGHEST = 255


@dataclass(frozen=True, kw_only=True)
class Standardization:
    """(x - mean) / std for each feature, in 256 levels from `-reach` to nearly `reach`.

    A feature's code is clamp(floor(x / (std * step) + 1/2) + zero_point); its zero point is an
    integer, so the mean is one to within half a step. A step is the same part of each feature's
    std: so all features share one grid, and an integer program takes the codes as they are.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    reach: float = 4.0

    def __post_init__(self) -> None:
        lengths = (len(self.names), len(self.mean), len(self.std))
        if len(set(lengths)) != 1 or not self.names:
            raise UsageError(
                "standardization: {} names, {} means and {} stds given; one of each per feature "
                "allowed".format(*lengths)
            )
        for name, mean, std in zip(self.names, self.mean, self.std, strict=True):
            if not (np.isfinite(mean) and np.isfinite(std) and std > 0):
                raise UsageError(
                    f"standardization: mean {mean} and std {std} of feature '{name}' given; finite "
                    "ones allowed, the std above 0"
                )
        if not (np.isfinite(self.reach) and self.reach > 0):
            raise UsageError(f"standardization: reach {self.reach} given; a finite one above 0")

    @property
    def scale(self) -> tuple[float]:
        """The step of the standardized values, one for all features."""
        return (self.reach / _ZERO_POINT,)

    @property
    def zero_point(self) -> tuple[int]:
        """The code of 0, one for all features."""
        return (_ZERO_POINT,)

    @cached_property
    def encoding(self) -> Encoding:
        """How raw numbers become codes, feature by feature."""
        scale = np.array(self.std) * self.scale[0]
        zero_point = np.rint(_ZERO_POINT - np.array(self.mean) / scale).astype(np.int64)
        return Encoding(names=self.names, scale=scale, zero_point=zero_point)


def standardize(rows_NF: Tensor, standardization: Standardization) -> Tensor:
    """Return the standardized rows `[N, F]` in float32, on the grid of the program's input.

    Computed in float64, so that CPU, GPU and the host of a program get the same codes. Raises
    UsageError for another number of features.
    """
    num_features = len(standardization.names)
    if rows_NF.ndim != 2 or rows_NF.shape[1] != num_features:
        raise UsageError(
            f"standardize: rows of shape {list(rows_NF.shape)} given; [N, {num_features}] allowed"
        )
    scale_F, zero_point_F = _constants(standardization, rows_NF.device)
    codes_NF = rows_NF.to(torch.float64).div(scale_F).add_(0.5).floor_().add_(zero_point_F)
    steps_NF = codes_NF.clamp_(0, _HIGHEST).sub_(_ZERO_POINT)
    return steps_NF.mul_(standardization.scale[0]).to(torch.float32)


@lru_cache(maxsize=32)
def _constants(standardization: Standardization, device: torch.device) -> tuple[Tensor, Tensor]:
    encoding = standardization.encoding
    with torch.inference_mode(False):
        scale = torch.from_numpy(encoding.scale).to(device)
        return scale, torch.from_numpy(encoding.zero_point).double().to(device)
