"""Programs do not take generated weights yet, and each way to one says so in one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from quantlab import compress, save_compressed_model
from quantlab.algorithms import quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.errors import UsageError
from quantlab.floats.lower import lower as lower_floats
from quantlab.generation import convert
from quantlab.integer.lower import lower, obstacles
from tests.quantlab.integer.networks import SPEC, pixels, plain, reals

STE = {"kind": "ste", "num_bits": 8}
LINE = (
    "layer '4': its weight is generated from factors, which programs do not take yet; write a pack "
    "(make_pack, main.py generate), or start a dense network from its weights (dense_weights, "
    "network.pretrained)"
)
SAMPLES = reals(pixels(4)).float()


def generated(bits: int) -> nn.Module:
    network = plain().eval()
    sizes = {"base_in": 1, "base_out": 2, "quantizer": "lsq", "layers": "4"}
    given = dict.fromkeys(("basis_bit", "coeff_in_bit", "coeff_out_bit"), bits)
    convert(network, {**sizes, **given})
    return network


def quantized(bits: int) -> nn.Module:
    network = generated(bits)
    rules = [{"select": "* & !4", "on": "weight", "algorithm": STE}]
    quantize(network, [*rules, {"select": "!first", "on": "input", "algorithm": STE}])
    calibrate(network, [SAMPLES])
    return network


def saved(network: nn.Module, folder: Path, dtype: str) -> Any:
    spec = None if dtype == "f32" else SPEC
    return save_compressed_model(
        network, "csr", input_data=SAMPLES, directory=folder / "c", dtype=dtype, spec=spec
    )


WAYS: dict[str, Callable[[int, Path], Any]] = {
    "integers": lambda bits, folder: lower(quantized(bits), SPEC),
    "floats": lambda bits, folder: lower_floats(generated(bits), SAMPLES),
    "C of s8": lambda bits, folder: saved(generated(bits), folder, "s8"),
    "C of f32": lambda bits, folder: saved(generated(bits), folder, "f32"),
    "compression": lambda bits, folder: compress(
        generated(bits), [(SAMPLES, torch.zeros(4).long())] * 3, budget="20 KB"
    ),
}


@pytest.mark.filterwarnings("ignore:spec. None given, and 4 samples")
@pytest.mark.parametrize("bits", [3, 32])
@pytest.mark.parametrize("way", WAYS)
def test_each_way_names_the_layer(way: str, bits: int, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        WAYS[way](bits, tmp_path)
    assert str(caught.value) == LINE
    assert not list(tmp_path.iterdir())


def test_it_is_told_before_training() -> None:
    assert obstacles(quantized(3)) == [LINE]
