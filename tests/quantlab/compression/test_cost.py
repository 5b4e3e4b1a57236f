from pathlib import Path

import pytest
import torch
from torch import nn

from quantlab.compression.cost import Cost, exported_cost
from quantlab.conversion import save_compressed_model
from quantlab.errors import UsageError


@pytest.mark.parametrize(("dtype", "representation"), [("s8", "auto"), ("f32", "dense")])
def test_the_bytes_are_those_of_the_folder_of_c(
    dtype: str, representation: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    network, samples = nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)), torch.rand(20, 6)
    saved = save_compressed_model(
        network, representation, None, samples, directory=tmp_path, dtype=dtype
    )
    cost = exported_cost(samples, dtype=dtype, representation=representation)(network)
    assert cost == Cost(flash=saved.sizes.flash, ram=saved.sizes.ram)


def test_wrong_arguments_are_one_line() -> None:
    with pytest.raises(UsageError, match="dtype: 's9' given, s8, s16, f32 allowed"):
        exported_cost(torch.rand(4, 6), dtype="s9")
    with pytest.raises(UsageError, match=r"example_data: float32\[1, 6\] given"):
        exported_cost(torch.rand(20, 6))(nn.Linear(5, 3))
