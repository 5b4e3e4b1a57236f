"""The arithmetic of the network: float32 and float64 as they are, half precisions by autocast."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.amp import GradScaler

_NOTHING = nullcontext()


class Precision:
    """Autocast, and for float16 the scaling of the loss (Micikevicius et al., arXiv:1710.03740)."""

    def __init__(self, name: str, device: torch.device) -> None:
        self.dtype = torch.float64 if name == "float64" else torch.float32
        self._device = device.type
        self._cast = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(name)
        self.scaler = GradScaler(self._device) if name == "float16" else None

    def autocast(self) -> AbstractContextManager[object]:
        """Return the context of forward pass and loss."""
        if self._cast is None:
            return _NOTHING
        return torch.autocast(self._device, self._cast)

    def scale(self, loss: Tensor) -> Tensor:
        """Return the loss to differentiate."""
        return loss if self.scaler is None else self.scaler.scale(loss)
