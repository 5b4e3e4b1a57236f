"""How a host makes a program's input of real numbers, as the values of a table's row."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantlab.errors import UsageError, check_kind
from quantlab.integer.tensor_type import TensorType


@dataclass(frozen=True, kw_only=True, eq=False)
class Encoding:
    """code = clamp(floor(real / scale + 1/2) + zero_point), computed in float64, for each feature.

    Standardization is part of it: features of any unit share one grid in the program.

    names: of the features, in their order, `[F]`. scale, zero_point: float64 and int64 `[F]`.
    """

    names: tuple[str, ...]
    scale: NDArray[np.float64]
    zero_point: NDArray[np.int64]

    def __post_init__(self) -> None:
        check_kind("encoding.names", self.names, tuple | list, "a tuple of text")
        for index, name in enumerate(self.names):
            check_kind(f"encoding.names[{index}]", name, str, "text")
        object.__setattr__(self, "names", tuple(self.names))
        for part in ("scale", "zero_point"):
            values = np.asarray(getattr(self, part))
            if values.dtype.kind not in "fiu" or not values.ndim:
                given = f"{values.dtype}{list(values.shape)}"
                raise UsageError(f"encoding.{part}: {given} given, numbers [F] allowed")
            object.__setattr__(self, part, values)
        lengths = (len(self.names), len(self.scale), len(self.zero_point))
        if len(set(lengths)) != 1 or not lengths[0]:
            raise UsageError(
                "encoding: {} names, {} scales and {} zero points given, as many of each "
                "allowed, at least 1".format(*lengths)
            )
        if not self.scale.ndim == self.zero_point.ndim == 1:
            raise UsageError(
                f"encoding: scales {list(self.scale.shape)} and zero points "
                f"{list(self.zero_point.shape)} given; [{lengths[0]}] allowed"
            )
        if not np.issubdtype(self.zero_point.dtype, np.integer):
            raise UsageError(
                f"encoding: zero points of {self.zero_point.dtype} given; integers allowed"
            )
        for name, scale in zip(self.names, self.scale.tolist(), strict=True):
            if not (np.isfinite(scale) and scale > 0):
                raise UsageError(
                    f"encoding: scale {scale} of feature '{name}' given, a finite one above 0 "
                    "allowed"
                )

    def __call__(self, reals_NF: NDArray[Any], given: TensorType) -> NDArray[Any]:
        """Return the codes `[N, F]` of rows, in the type of the program's input.

        Raises UsageError for another number of features and for a number that is not finite.
        """
        if reals_NF.ndim != 2 or reals_NF.shape[1] != len(self.names):
            raise UsageError(
                f"rows: shape {list(reals_NF.shape)} given, [N, {len(self.names)}] allowed"
            )
        wrong = np.argwhere(~np.isfinite(reals_NF))
        if len(wrong):
            row, feature = wrong[0]
            raise UsageError(
                f"rows: {reals_NF[row, feature]} given in row {row}, feature "
                f"'{self.names[feature]}'; finite numbers allowed"
            )
        steps = np.floor(reals_NF.astype(np.float64) / self.scale + 0.5) + self.zero_point
        codes: NDArray[Any] = steps.clip(given.kind.minimum, given.kind.maximum)
        return codes.astype(given.kind.dtype)

    def is_same(self, other: "Encoding | None") -> bool:
        """Return whether another encoding makes the same codes of the same features."""
        return (
            other is not None
            and self.names == other.names
            and np.array_equal(self.scale, other.scale)
            and np.array_equal(self.zero_point, other.zero_point)
        )
