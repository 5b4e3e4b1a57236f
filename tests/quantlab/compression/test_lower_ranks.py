"""Low-rank forms are taken before weights are removed, where the bytes of C fall."""

import copy
from pathlib import Path
from shutil import which

import pytest
import torch
from torch import nn

from quantlab.compression import Budget, Compressed, Data, Recipe, compress
from quantlab.compression.lower_ranks import with_lower_ranks
from quantlab.errors import UsageError
from tests.quantlab.compression.layers import images, lower

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
RECIPE = Recipe(epochs=3, calibration=32, low_rank=True)


def network() -> nn.Module:
    """A network whose first layer has weights of rank 1, but for a little noise."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Flatten(), nn.Linear(64, 48), nn.ReLU(), nn.Linear(48, 3))
    with torch.no_grad():
        weight = torch.randn(48, 1) @ torch.randn(1, 64) / 8
        made[1].weight.copy_(weight + 1e-4 * torch.randn(48, 64))
    return made.eval()


def data() -> Data:
    torch.manual_seed(1)
    inputs = torch.rand(96, 1, 8, 8)
    with torch.no_grad():
        classes = network()(inputs).argmax(1)
    batches = list(zip(inputs.split(32), classes.split(32), strict=True))
    return Data(train=batches, valid=batches[:1])


def compressed(folder: Path | None = None, **changes: object) -> Compressed:
    recipe = Recipe.model_validate({**RECIPE.model_dump(), **changes})
    return compress(network(), data(), budget=9_000, recipe=recipe, board="host", folder=folder)


def test_a_layer_of_low_rank_becomes_two() -> None:
    samples = torch.rand(32, 1, 8, 8)
    given = network()
    before = copy.deepcopy(given.state_dict())
    made, said = with_lower_ranks(given, samples, None)
    assert [line.split(":")[0] for line in said] == ["1"]
    assert "svd of rank 1" in said[0]
    assert sum(p.numel() for p in made.parameters()) < sum(p.numel() for p in given.parameters())
    assert all(torch.equal(before[name], now) for name, now in given.state_dict().items())
    again, _ = with_lower_ranks(given, samples, None)
    for one, other in zip(made.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def hungry() -> nn.Module:
    """A network that needs most memory for a layer of rank 2."""
    torch.manual_seed(0)
    hidden = lower(nn.Linear(32, 32), 2)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(16, 32), nn.ReLU(), hidden, nn.ReLU(), nn.Linear(32, 3)
    ).eval()


def test_layers_are_separated_where_the_ram_is_too_little() -> None:
    given, samples = hungry(), images(size=4)
    _, enough = with_lower_ranks(given, samples, 100_000)
    _, scarce = with_lower_ranks(given, samples, 1)
    assert not any("RAM" in line for line in enough)
    assert "3: svd of rank 2: " in scarce[0]
    assert "bytes of RAM instead of" in scarce[0]


@needs_compiler
@pytest.mark.long
def test_compress_says_what_became_of_layers(tmp_path: Path) -> None:
    made = compressed(tmp_path)
    assert "1: svd of rank 1" in (tmp_path / "report.txt").read_text()
    assert [row.name for row in made.report.layers] == ["1.0", "1.1", "3"]
    assert made.report.float_bytes == compressed(low_rank=False).report.float_bytes
    assert compressed(tmp_path).files == made.files


@needs_compiler
@pytest.mark.long
def test_a_budget_of_ram_is_met_by_separation() -> None:
    inputs = images(size=4)
    batches = [(one, torch.arange(len(one)) % 3) for one in inputs.split(16)]
    data, given = Data(train=batches, valid=batches), hungry()
    plan = compress(given, data, budget="1 MB", recipe=Recipe(epochs=3), board="host").report.ram
    budget = Budget(ram=plan - 1)
    with pytest.raises(UsageError, match=r"budget\.ram: .* bytes needed"):
        compress(given, data, budget=budget, recipe=Recipe(epochs=3), board="host")
    made = compress(given, data, budget=budget, recipe=RECIPE, board="host")
    assert made.report.ram <= plan - 1
    assert "bytes of RAM instead of" in made.report.forms[0]
