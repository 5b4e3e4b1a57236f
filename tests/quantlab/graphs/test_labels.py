import pytest
import torch
from torch import Tensor, nn

from quantlab.graphs.labels import details, family, grid, num_parameters, shape, title
from quantlab.graphs.operations import Add, Concat
from quantlab.graphs.trace import trace
from quantlab.numerics.granularity import PerAxis
from quantlab.quantizer import QuantSpec
from tests.quantlab.graphs.networks import CarryingConv2d, Grid, Residual


@pytest.mark.parametrize(
    ("module", "lines", "kind"),
    [
        (
            nn.Conv2d(3, 64, 7, 2, 3, bias=False),
            ["Conv2d 7x7, 3 to 64, stride 2", "9,408 parameters"],
            "layer",
        ),
        (
            nn.Conv2d(4, 4, (1, 3), (2, 1), groups=4),
            ["Conv2d 1x3, 4 to 4, stride 2x1, depthwise", "16 parameters"],
            "layer",
        ),
        (
            nn.Conv2d(4, 4, 3, dilation=2, groups=2),
            ["Conv2d 3x3, 4 to 4, dilation 2, 2 groups", "76 parameters"],
            "layer",
        ),
        (nn.Conv1d(1, 2, 3), ["Conv1d 3, 1 to 2, 8 parameters"], "layer"),
        (
            nn.ConvTranspose2d(3, 2, 2, stride=2),
            ["ConvTranspose2d 2x2, 3 to 2, stride 2", "26 parameters"],
            "layer",
        ),
        (nn.Linear(5, 7), ["Linear 5 to 7, 42 parameters"], "layer"),
        (nn.BatchNorm2d(8), ["BatchNorm2d 8, 16 parameters"], "norm"),
        (nn.PReLU(), ["PReLU num_parameters=1", "1 parameter"], "activation"),
        (nn.ReLU(inplace=True), ["ReLU"], "activation"),
        (nn.MaxPool2d(3, 2), ["MaxPool2d 3, stride 2"], "pool"),
        (nn.AdaptiveAvgPool2d((1, 1)), ["AdaptiveAvgPool2d to 1x1"], "pool"),
        (nn.Dropout(0.25), ["Dropout 0.25"], "other"),
        (nn.Flatten(), ["Flatten"], "other"),
        (Concat(1), ["Concat dim=1"], "operation"),
        (nn.Upsample(scale_factor=2), ["Upsample scale_factor=2.0, mode='nearest'"], "other"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_layers(module: nn.Module, lines: list[str], kind: str) -> None:
    gm = trace(nn.Sequential(module))
    node = list(gm.graph.nodes)[1]
    assert details(gm, node) == lines
    assert family(gm, node) == kind
    assert title(node) == "0"


def test_functions_parameters_and_ends() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = nn.Parameter(torch.ones(4))

        def forward(self, x: Tensor) -> Tensor:
            return torch.hypot(x.permute(0, 1), self.gain)

    gm = trace(Network(), torch.ones(2, 4))
    said = {title(n): (details(gm, n), shape(n), family(gm, n)) for n in gm.graph.nodes}
    assert said == {
        "x": ([], "2x4", "end"),
        "permute": ([".permute 0, 1"], "2x4", "function"),
        "gain": (["4"], "4", "function"),
        "hypot": (["hypot"], "2x4", "function"),
        "output": ([], "2x4", "end"),
    }


def test_the_range_of_a_grid() -> None:
    """Computed from what the quantizer makes of very small and very large numbers."""
    for signed in (True, False):
        quantizer = Grid(4, signed=signed, scale=0.5)
        low, high = (quantizer(torch.tensor(x)).item() for x in (-1e9, 1e9))
        sign = "signed" if signed else "unsigned"
        assert grid(quantizer) == f"4 bits {sign} {low:.3g}..{high:.3g}"
    quantizer.zero_point.fill_(3)
    assert grid(quantizer) == "4 bits unsigned -1.5..6"
    quantizer.set_enabled(False)
    assert grid(quantizer) == "4 bits unsigned (float stage)"


def test_of_several_scales_the_widest_range() -> None:
    class PerChannel(Grid):
        def __init__(self) -> None:
            super().__init__()
            self.scale_shape = (2, 1)
            self._take(QuantSpec(num_bits=3, signed=True, granularity=PerAxis(0)))
            self.scale = nn.Parameter(torch.tensor([[1.0], [2.0]]))

    assert grid(PerChannel()) == "3 bits signed -8..6"


def test_weights_and_counts() -> None:
    conv = CarryingConv2d(1, 2, 1, quantizers={"weight_quantizer": Grid(2, scale=1.0)})
    gm = trace(nn.Sequential(conv))
    lines = ["CarryingConv2d 1x1, 1 to 2", "4 parameters", "weight: 2 bits signed -2..1"]
    assert details(gm, list(gm.graph.nodes)[1]) == lines
    network = Residual()
    network.stem.output_quantizer = Grid()
    assert num_parameters(network) == sum(p.numel() for p in network.parameters()) - 1
    assert num_parameters(Add()) == 0
