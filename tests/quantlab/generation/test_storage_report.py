"""What networks take when they are stored, against the table of MLG's paper (arXiv:2108.11430)."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from problems.CIFAR10.DenseNet.network import DenseNet
from problems.CIFAR10.ResNet.network import ResNet
from quantlab import quantize
from quantlab.errors import UsageError
from quantlab.generation import convert, storage_report

CLASSES = (10, 100)


def resnet(num_classes: int) -> nn.Module:
    with torch.device("meta"):
        return ResNet(depth=18, num_classes=num_classes, fc_bias=False)


def densenet(num_classes: int) -> nn.Module:
    with torch.device("meta"):
        return DenseNet(num_classes=num_classes, fc_bias=False)


# (network, spec): ratios of numbers and of bytes for 10 classes, and for 100
PUBLISHED: dict[tuple[str, str], tuple[tuple[str, str], tuple[str, str]]] = {
    ("resnet", "2-44-32-32-32"): (("0.0497", "0.0497"), ("0.0536", "0.0536")),
    ("resnet", "2-44-8-8-8"): (("0.0497", "0.0131"), ("0.0536", "0.0140")),
    ("resnet", "2-44-3-6-3"): (("0.0497", "0.0080"), ("0.0536", "0.0090")),
    ("densenet", "1-25-32-32-32"): (("0.1986", "0.1986"), ("0.2091", "0.2091")),
    ("densenet", "1-25-8-8-8"): (("0.1986", "0.0587"), ("0.2091", "0.0612")),
    ("densenet", "1-25-4-6-6"): (("0.1986", "0.0395"), ("0.2091", "0.0422")),
}
NETWORKS: dict[str, Callable[[int], nn.Module]] = {"resnet": resnet, "densenet": densenet}


def as_published(network: str, spec: str, num_classes: int) -> nn.Module:
    """All convolutions generated, the last layer of 8 bits where factors have few."""
    made = NETWORKS[network](num_classes)
    base_in, base_out, basis, coeff_in, coeff_out = map(int, spec.split("-"))
    convert(
        made,
        {
            "base_in": base_in,
            "base_out": base_out,
            "basis_bit": basis,
            "coeff_in_bit": coeff_in,
            "coeff_out_bit": coeff_out,
        },
    )
    if basis < 32:
        algorithm = {"kind": "dorefa_sym", "num_bits": 8}
        quantize(made, [{"select": "type:Linear", "on": "weight", "algorithm": algorithm}])
    return made


def _row(network: str, spec: str, num_classes: int) -> Any:
    marks = [pytest.mark.long] if network == "densenet" else []
    return pytest.param(network, spec, num_classes, marks=marks)


@pytest.mark.parametrize(
    ("network", "spec", "num_classes"), [_row(*row, n) for row in PUBLISHED for n in CLASSES]
)
def test_ratios_are_the_published_ones(network: str, spec: str, num_classes: int) -> None:
    report = storage_report(as_published(network, spec, num_classes))
    numbers, memory = PUBLISHED[network, spec][CLASSES.index(num_classes)]
    assert f"{report.parameter_ratio:.4f}" == numbers
    assert f"{report.memory_ratio:.4f}" == memory


def test_resnet_takes_350_kilobytes() -> None:
    report = storage_report(as_published("resnet", "2-44-3-6-3", 10))
    assert f"{report.paper_bytes / 1024:.1f}" == "350.0"
    assert f"{report.dense_bytes / 1024:,.1f}" == "43,648.2"
    assert f"{report.full_bytes / report.dense_bytes:.4f}" == "0.0089"
    norms = sum(row.bits for row in report.rows if row.form == "norm")
    assert f"{norms / 8192:.1f}" == "37.5"
    (last,) = [row for row in report.rows if row.form == "quantized"]
    assert last.bits / 8 == 5120


class Numbers(nn.Module):
    """As many numbers as some layer has."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.numbers = nn.Parameter(torch.empty(shape, device="meta"))


def depthwise_separable(outputs: int, inputs: int, kernel: int) -> nn.Module:
    return nn.Sequential(Numbers(inputs, 1, kernel, kernel), Numbers(outputs, inputs, 1, 1))


def blueprint(outputs: int, inputs: int, kernel: int) -> nn.Module:
    return nn.Sequential(Numbers(outputs, inputs, 1, 1), Numbers(outputs, 1, kernel, kernel))


def penni(outputs: int, inputs: int, kernel: int) -> nn.Module:
    return nn.Sequential(Numbers(2, kernel, kernel), Numbers(outputs, inputs, 2))


def circulant(outputs: int, inputs: int, kernel: int) -> nn.Module:
    return Numbers(-(-outputs // 4), -(-inputs // 4), 4, kernel, kernel)


BASELINES: dict[str, tuple[Callable[[int, int, int], nn.Module], tuple[str, str]]] = {
    "DSConv": (depthwise_separable, ("0.1287", "0.1323")),
    "PENNI": (penni, ("0.2352", "0.2384")),
    "BSConv": (blueprint, ("0.1291", "0.1327")),
    "CirCNN": (circulant, ("0.2510", "0.2541")),
}


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("num_classes", CLASSES)
def test_baselines_of_the_paper(name: str, num_classes: int) -> None:
    """In the place of the convolutions of ResNet-18; only CirCNN's in that of 1x1 ones."""
    make, ratios = BASELINES[name]
    network = resnet(num_classes)
    dense = storage_report(network)
    for path, layer in list(network.named_modules()):
        if isinstance(layer, nn.Conv2d) and (layer.kernel_size != (1, 1) or name == "CirCNN"):
            made = make(layer.out_channels, layer.in_channels, layer.kernel_size[0])
            network.set_submodule(path, made)
    ratio = storage_report(network).paper_bytes / dense.dense_bytes
    assert f"{ratio:.4f}" == ratios[CLASSES.index(num_classes)]


def small(**changes: Any) -> nn.Sequential:
    network = nn.Sequential(
        nn.Conv2d(4, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8, 3, bias=False)
    )
    convert(network, {"base_in": 2, "base_out": 5, **changes})
    return network


@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq", "midtread"])
def test_the_conventions_by_hand(quantizer: str) -> None:
    report = storage_report(small(quantizer=quantizer))
    conv, norm, last = report.rows
    # B 5x2x9, U 5x4x2, V 8x5, bias 8
    assert conv.bits == 90 * 3 + 40 * 6 + 40 * 3 + 8 * 32
    assert conv.more_bits == 3 * 32
    assert (conv.num_dense, conv.num_stored) == (8 * 4 * 9 + 8, 90 + 40 + 40 + 8)
    assert (norm.bits, norm.more_bits) == (16 * 32, 16 * 32)
    assert (last.form, last.bits, last.more_bits) == ("dense", 24 * 32, 0)
    assert report.dense_bytes == 4 * (296 + 16 + 24)
    assert report.file_bytes is None
    assert "file 1,234" in str(report.with_file(1234))
    assert "generated" in str(report)


def test_floats_have_no_scales() -> None:
    bits = dict.fromkeys(("basis_bit", "coeff_in_bit", "coeff_out_bit"), 32)
    conv = storage_report(small(**bits)).rows[0]
    assert (conv.bits, conv.more_bits) == ((170 + 8) * 32, 0)


def test_shared_factors_count_once() -> None:
    network = nn.Sequential(nn.Conv2d(6, 6, 3, bias=False), nn.Conv2d(6, 6, 3, bias=False))
    network[1].weight = network[0].weight
    convert(network, {"base_in": 2, "base_out": 4})
    report = storage_report(network)
    assert [row.layer for row in report.rows] == ["0"]
    assert report.dense_bytes == 4 * 6 * 6 * 9


def test_shared_scales_count_once() -> None:
    network = nn.Sequential(nn.Conv2d(6, 6, 3), nn.Conv2d(6, 6, 3))
    network[1].weight = network[0].weight
    convert(network, {"base_in": 2, "base_out": 4})
    assert [row.more_bits for row in storage_report(network).rows] == [3 * 32, 0]


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(UsageError, match=r"network: a dict given, a torch.nn.Module allowed"):
        storage_report({})
