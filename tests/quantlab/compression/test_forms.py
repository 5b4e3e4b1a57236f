from itertools import pairwise

import pytest
import torch
from torch import nn

from quantlab.compression.forms import LOW_RANK, Removed
from quantlab.compression.lowrank import grouped
from quantlab.compression.moments import observe
from quantlab.compression.vbmf import evbmf
from tests.quantlab.compression.layers import lower

LAYERS = {
    "Linear": lambda: nn.Linear(30, 40),
    "Conv1d": lambda: nn.Conv1d(12, 20, 3),
    "Conv2d": lambda: nn.Conv2d(12, 20, 3, padding=1),
    "grouped": lambda: nn.Conv2d(24, 24, 3, groups=2, bias=False),
    "bfloat16": lambda: nn.Linear(30, 40, dtype=torch.bfloat16),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("form", LOW_RANK)
def test_ranks_grow_up_to_what_evbmf_finds(form: str, name: str) -> None:
    torch.manual_seed(0)
    layer = lower(LAYERS[name](), rank=3, noise=0.3)
    if LOW_RANK[form].obstacle(layer) is not None:
        return
    chain = LOW_RANK[form].ranks(layer)
    assert set(chain[0]) == {1}
    for less, more in pairwise(chain):
        assert sum(more) == sum(less) + 1
        assert all(a <= b for a, b in zip(less, more, strict=True))
    if form == "svd":
        ranks = [evbmf(matrix.numpy()).rank for matrix in grouped(layer).flatten(2)]
        assert chain[-1] == (max(ranks),) == (3,)


@pytest.mark.parametrize("form", LOW_RANK)
def test_noise_has_no_ranks(form: str) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(12, 20, 3)
    nn.init.normal_(layer.weight)
    assert not LOW_RANK[form].ranks(layer)
    nn.init.zeros_(layer.weight)
    assert not LOW_RANK[form].ranks(layer)


@pytest.mark.parametrize(
    ("name", "form"),
    [("Linear", "svd"), ("Conv1d", "tucker"), ("Conv2d", "spatial"), ("grouped", "tucker")],
)
def test_the_error_falls_with_the_rank(name: str, form: str) -> None:
    torch.manual_seed(0)
    layer = lower(LAYERS[name](), rank=6, noise=0.1).double()
    channels = layer.weight.shape[1] * getattr(layer, "groups", 1)
    x = torch.randn(20, channels, *(7,) * (layer.weight.ndim - 2), dtype=torch.float64)
    observed = observe(layer, x)[layer]
    chain = LOW_RANK[form].ranks(layer)
    assert len(chain) > 3
    with torch.no_grad():
        made = [LOW_RANK[form].build(layer, ranks, observed) for ranks in chain]
        errors = [(one(x) - layer(x)).square().sum().item() for one in made]
    assert errors[-1] < errors[len(errors) // 2] < errors[0]


NO_KERNEL, NO_AXES = "no kernel beyond 1x1", "no kernel of two axes"
ONE, DEPTHWISE = "one channel, no lower rank", "depthwise, no lower rank"


@pytest.mark.parametrize(
    ("layer", "obstacles"),
    [
        (nn.Linear(8, 8), (None, NO_KERNEL, NO_AXES)),
        (nn.Linear(8, 1), (ONE, NO_KERNEL, NO_AXES)),
        (nn.Conv2d(8, 8, 1), (None, NO_KERNEL, NO_AXES)),
        (nn.Conv2d(8, 8, (3, 1)), (None, None, NO_AXES)),
        (nn.Conv1d(8, 8, 3), (None, None, NO_AXES)),
        (nn.Conv2d(1, 8, 3), (None, ONE, None)),
        (nn.Conv2d(8, 8, 3, groups=8), (DEPTHWISE, DEPTHWISE, None)),
        (nn.Conv2d(8, 16, 3, groups=8), (None, DEPTHWISE, None)),
    ],
    ids=repr,
)
def test_layers_without_a_form_say_why(layer, obstacles) -> None:
    assert tuple(form.obstacle(layer) for form in LOW_RANK.values()) == obstacles


def test_only_noise_can_be_removed() -> None:
    torch.manual_seed(0)
    layer, removed = lower(nn.Linear(30, 40), rank=2, noise=0.1), Removed()
    assert removed.obstacle(layer) == "no noise"
    assert removed.obstacle(nn.Linear(30, 1)) == "one channel, no lower rank"
    nn.init.normal_(layer.weight)
    assert removed.obstacle(layer) is None
    x = torch.randn(5, 30)
    made = removed.build(layer, (), observe(layer, x)[layer])
    assert torch.equal(made(x), layer.bias.expand(5, -1))
    assert layer.weight.any()
