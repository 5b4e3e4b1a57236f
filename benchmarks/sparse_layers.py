"""The layers that sparse kernels and modules are measured on."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from quantlab.sparse import uniform_magnitude

SPARSITIES = (0.80, 0.90, 0.95, 0.98)


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A layer and its inputs. size: rows and columns of images, 0 for features."""

    name: str
    inputs: int
    outputs: int
    kernel: int = 1
    size: int = 0
    batch: int

    def layer(self, sparsity: float) -> tuple[nn.Linear | nn.Conv2d, Tensor]:
        """Return the dense layer, its smaller weights zero, and the mask of the others."""
        torch.manual_seed(0)
        layer: nn.Linear | nn.Conv2d
        if self.size == 0:
            layer = nn.Linear(self.inputs, self.outputs, bias=False)
        else:
            padding = self.kernel // 2
            layer = nn.Conv2d(self.inputs, self.outputs, self.kernel, padding=padding, bias=False)
        nn.init.normal_(layer.weight)
        mask = uniform_magnitude(layer, sparsity)[""]
        with torch.no_grad():
            layer.weight.mul_(mask)
        return layer, mask

    def x(self) -> Tensor:
        """Return the inputs."""
        torch.manual_seed(1)
        if self.size == 0:
            return torch.randn(self.batch, self.inputs)
        return torch.randn(self.batch, self.inputs, self.size, self.size)

    def num_products(self, num_weights: int) -> int:
        """Return the products of a forward pass with so many weights."""
        return num_weights * self.batch * max(self.size, 1) ** 2


SUBJECTS = (
    Subject(name="Linear 512", inputs=512, outputs=512, batch=128),
    Subject(name="Linear 2048", inputs=2048, outputs=2048, batch=128),
    Subject(name="conv 64@32x32", inputs=64, outputs=64, kernel=3, size=32, batch=32),
    Subject(name="conv 128@16x16", inputs=128, outputs=128, kernel=3, size=16, batch=32),
    Subject(name="conv 256@8x8", inputs=256, outputs=256, kernel=3, size=8, batch=32),
    Subject(name="conv 512@4x4", inputs=512, outputs=512, kernel=3, size=4, batch=32),
    Subject(name="1x1 256->64@56x56", inputs=256, outputs=64, size=56, batch=16),
)
ONE_SAMPLE = (
    Subject(name="Linear 512, one sample", inputs=512, outputs=512, batch=1),
    Subject(name="Linear 2048, one sample", inputs=2048, outputs=2048, batch=1),
)
