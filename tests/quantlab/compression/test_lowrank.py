from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from quantlab.compression.lowrank import spatial, svd, tucker
from quantlab.compression.moments import observe, roots
from quantlab.errors import UsageError

CONVOLUTIONS = [
    nn.Conv2d(6, 8, 3),
    nn.Conv2d(6, 8, 3, bias=False),
    nn.Conv2d(6, 8, 3, padding=1, stride=2),
    nn.Conv2d(6, 8, (3, 2), padding="same", dilation=(1, 2)),
    nn.Conv2d(6, 8, 3, padding="valid"),
    nn.Conv2d(6, 8, (5, 3), padding=(2, 1), stride=(1, 2), dilation=(1, 2)),
    nn.Conv2d(6, 8, 3, padding=1, padding_mode="reflect"),
    nn.Conv2d(6, 8, 3, padding=(1, 2), padding_mode="circular", bias=False),
    nn.Conv2d(6, 8, 3, padding=1, groups=2),
    nn.Conv2d(4, 8, 3, padding=1, groups=4, dilation=2),
    nn.Conv2d(6, 8, 1),
    nn.Conv2d(2, 30, 3),
]
SIGNALS = [
    nn.Conv1d(6, 8, 5, padding="same", dilation=2),
    nn.Conv1d(6, 8, 3, stride=2, padding=1, bias=False, groups=2),
    nn.Conv1d(2, 30, 3, padding=1, padding_mode="replicate"),
]
LINEAR = [nn.Linear(7, 5), nn.Linear(5, 7, bias=False), nn.Linear(1, 1)]


def example(layer: nn.Module, num_samples: int = 3) -> Tensor:
    torch.manual_seed(0)
    match layer:
        case nn.Linear():
            shape: Sequence[int] = (layer.in_features,)
        case nn.Conv1d():
            shape = (layer.in_channels, 13)
        case _:
            shape = (layer.in_channels, 11, 12)
    return torch.randn(num_samples, *shape, dtype=torch.float64)


def sides(layer: nn.Module) -> tuple[int, int, int, int]:
    """Return the outputs and inputs of a group, and the height and width of the kernel."""
    groups, weight = getattr(layer, "groups", 1), layer.weight
    height, width = (*weight.shape[2:], 1, 1)[:2]
    return len(weight) // groups, weight.shape[1], height, width


def assert_exact(form: nn.Sequential, layer: nn.Module) -> None:
    x = example(layer)
    torch.testing.assert_close(form(x), layer(x), rtol=1e-9, atol=1e-9)
    assert form[-1].bias is not None if layer.bias is not None else form[-1].bias is None
    assert all(part.bias is None for part in form[:-1])


@pytest.mark.parametrize("layer", [*LINEAR, *CONVOLUTIONS, *SIGNALS], ids=repr)
@pytest.mark.parametrize("is_weighted", [False, True])
def test_full_rank_is_the_layer(layer: nn.Module, is_weighted: bool) -> None:
    layer = layer.double()
    observed = observe(layer, example(layer, 40))[layer]
    outputs, inputs, height, width = sides(layer)
    full = min(outputs, inputs * height * width)
    assert_exact(svd(layer, full, outputs_Goo=observed.outputs_Goo if is_weighted else None), layer)
    if isinstance(layer, nn.Linear):
        return
    weighting = roots(observed.inputs_Gcc) if is_weighted else None
    assert_exact(tucker(layer, (outputs, inputs), inputs=weighting), layer)
    if isinstance(layer, nn.Conv2d):
        full = min(inputs * height, outputs * width)
        assert_exact(spatial(layer, full, inputs=weighting), layer)


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    st.tuples(st.integers(1, 3), st.integers(1, 3)),
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 2)),
    st.booleans(),
)
@settings(deadline=None, max_examples=25)
def test_full_rank_is_any_convolution(
    channels: tuple[int, int, int],
    kernel: tuple[int, int],
    steps: tuple[int, int, int],
    has_bias: bool,
) -> None:
    (groups, inputs, outputs), (stride, dilation, padding) = channels, steps
    conv = nn.Conv2d(
        groups * inputs,
        groups * outputs,
        kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        groups=groups,
        bias=has_bias,
        dtype=torch.float64,
    )
    height, width = kernel
    assert_exact(svd(conv, min(outputs, inputs * height * width)), conv)
    assert_exact(tucker(conv, (outputs, inputs)), conv)
    assert_exact(spatial(conv, min(inputs * height, outputs * width)), conv)


def test_svd_has_the_least_error_of_the_weights() -> None:
    layer = nn.Linear(20, 12, bias=False, dtype=torch.float64)
    values = torch.linalg.svdvals(layer.weight.detach())
    for rank in (1, 5, 11):
        first, last = svd(layer, rank)
        error = (last.weight @ first.weight - layer.weight).square().sum()
        torch.testing.assert_close(error, values[rank:].square().sum())


def test_weighted_svd_has_the_least_error_of_the_outputs() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(20, 12, dtype=torch.float64)
    x = torch.randn(100, 20, dtype=torch.float64) * torch.logspace(-2, 1, 20)
    y = layer(x) - layer.bias
    least = torch.linalg.svdvals(y.detach())[3:].square().sum()
    plain, weighted = (
        (svd(layer, 3, outputs_Goo=outputs)(x) - layer(x)).square().sum()
        for outputs in (None, observe(layer, x)[layer].outputs_Goo)
    )
    torch.testing.assert_close(weighted, least)
    assert weighted < 0.9 * plain


@pytest.mark.parametrize(
    "build", [lambda c, r: tucker(c, (4, 2), inputs=r), lambda c, r: spatial(c, 3, inputs=r)]
)
def test_weighting_lowers_the_error_of_the_outputs(build) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 8, 3, dtype=torch.float64)
    x = torch.randn(8, 6, 9, 9, dtype=torch.float64) * torch.logspace(-2, 1, 6)[:, None, None]
    weighting = roots(observe(conv, x)[conv].inputs_Gcc)
    plain, weighted = ((build(conv, r)(x) - conv(x)).square().sum() for r in (None, weighting))
    assert weighted < 0.9 * plain


def test_a_true_low_rank_is_exact() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 10, 3, padding=1, groups=2, dtype=torch.float64)
    core = torch.randn(2, 2, 3, 3, 3, dtype=torch.float64)
    out, into = torch.randn(2, 5, 2, dtype=torch.float64), torch.randn(2, 4, 3, dtype=torch.float64)
    with torch.no_grad():
        conv.weight.copy_(torch.einsum("grsij,gor,gcs->gocij", core, out, into).flatten(0, 1))
    form = tucker(conv, (2, 3))
    assert_exact(form, conv)
    assert [part.weight.shape for part in form] == [(6, 4, 1, 1), (4, 3, 3, 3), (10, 2, 1, 1)]
    assert_exact(svd(conv, 2), conv)


def test_hooi_is_no_worse_than_hosvd() -> None:
    torch.manual_seed(1)
    conv = nn.Conv2d(8, 10, 3, bias=False, dtype=torch.float64)
    w = conv.weight.detach()
    out = torch.linalg.svd(w.flatten(1)).U[:, :2]
    into = torch.linalg.svd(w.transpose(0, 1).flatten(1)).U[:, :2]
    hosvd = torch.einsum("ocij,or,pr,cs,ds->pdij", w, out, out, into, into)
    first, core, last = tucker(conv, (2, 2))
    hooi = torch.einsum(
        "srij,sc,or->ocij",
        core.weight.transpose(0, 1),
        first.weight[..., 0, 0],
        last.weight[..., 0, 0],
    )
    assert (hooi - w).norm() < (hosvd - w).norm()


def test_a_form_is_of_the_layers_kind() -> None:
    layer = nn.Conv2d(4, 4, 3).half().eval()
    layer.weight.requires_grad_(False)
    for form in (svd(layer, 2), tucker(layer, (2, 2)), spatial(layer, 2)):
        assert not form.training
        assert all(part.weight.dtype == torch.half for part in form)
        assert all(not part.weight.requires_grad for part in form)
        assert form[-1].bias.requires_grad
        assert form[-1].bias is not layer.bias


def test_nothing_random_is_drawn() -> None:
    layer = nn.Conv2d(4, 4, 3)
    state = torch.get_rng_state()
    forms = [[svd(layer, 2), tucker(layer, (2, 2)), spatial(layer, 2)] for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    for one, other in zip(*forms, strict=True):
        assert all(map(torch.equal, one.parameters(), other.parameters()))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda conv: svd(conv, 0), "rank: 0 given, 1 to 4 allowed"),
        (lambda conv: svd(conv, 5), "rank: 5 given, 1 to 4 allowed"),
        (lambda conv: tucker(conv, (5, 1)), r"ranks\[0\]: 5 given, 1 to 4 allowed"),
        (lambda conv: tucker(conv, (4, 0)), r"ranks\[1\]: 0 given, 1 to 2 allowed"),
        (lambda conv: spatial(conv, 7), "rank: 7 given, 1 to 6 allowed"),
    ],
)
def test_ranks_beyond_the_layer_are_one_line(build, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(nn.Conv2d(2, 4, 3))
