"""How a network is trained while it is compressed."""

from typing import Literal

from pydantic import Field, field_validator

from quantlab.deploy.c.options import ENCODINGS
from quantlab.errors import did_you_mean
from quantlab.settings import Settings


class Recipe(Settings):
    """The training of a compression.

    epochs: all of them. In the first `ramp` part weights are removed, along a cubic from the dense
    size to the budget (M. Zhu, S. Gupta, To prune, or not to prune, 2017, arXiv:1710.01878,
    equation 1); from `quantized` on the network is trained with its quantizers.
    optimizer, learning_rate, weight_decay, momentum: the rate falls along a cosine to zero after
    `warmup`, a part of all steps. distill: the part of the loss that is the distance to the dense
    network's outputs (G. Hinton et al., Distilling the knowledge in a neural network, 2015,
    arXiv:1503.02531), at `temperature`. weight_bits: those a layer may take.
    encodings: of C, of which the one of the smallest objects is taken; see docs/c.md. `tiny` takes
    about twice the instructions of `small`.
    method: which weights go: `sensitivity`, those whose removal costs the loss least for each byte,
    over all layers; `largest_first`, SparseComp's rule: the smallest of the layer with most bytes.
    low_rank: whether layers first take low-rank forms, where that lowers the bytes of the C, or its
    RAM if that is over the budget. seed: of the order of samples and all other draws.
    calibration: samples for ranges.
    """

    epochs: int = Field(default=30, ge=3)
    ramp: float = Field(default=0.6, gt=0.0, lt=1.0)
    quantized: float = Field(default=2 / 3, gt=0.0, lt=1.0)
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: float = Field(default=1e-3, gt=0.0)
    weight_decay: float = Field(default=0.0, ge=0.0)
    momentum: float = Field(default=0.9, ge=0.0, lt=1.0)
    warmup: float = Field(default=0.02, ge=0.0, lt=1.0)
    distill: float = Field(default=0.5, ge=0.0, lt=1.0)
    temperature: float = Field(default=4.0, gt=0.0)
    weight_bits: tuple[Literal[2, 4, 8], ...] = Field(default=(8, 4), min_length=1, strict=False)
    encodings: tuple[str, ...] = Field(
        default=("smallest", "small", "tiny"), min_length=1, strict=False
    )
    method: Literal["sensitivity", "largest_first"] = "sensitivity"
    low_rank: bool = False
    seed: int = 0
    calibration: int = Field(default=512, ge=1)

    @field_validator("encodings")
    @classmethod
    def _check(cls, encodings: tuple[str, ...]) -> tuple[str, ...]:
        for name in encodings:
            if name not in ENCODINGS:
                hint = did_you_mean(name, ENCODINGS)
                raise ValueError(f"'{name}' given, {', '.join(ENCODINGS)} allowed{hint}")
        return encodings

    @property
    def ramp_epochs(self) -> int:
        """Epochs in which weights are removed."""
        return min(max(round(self.ramp * self.epochs), 1), self.epochs - 2)

    @property
    def settling_epochs(self) -> int:
        """Epochs between, in float."""
        return max(min(round(self.quantized * self.epochs), self.epochs - 1) - self.ramp_epochs, 0)

    @property
    def quantized_epochs(self) -> int:
        """Epochs with quantizers."""
        return self.epochs - self.ramp_epochs - self.settling_epochs
