"""Layers that begin with the projection of a weight give the codes that it found."""

from typing import Any

import pytest
import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from quantlab.errors import UsageError
from quantlab.generation import MLGConv2d, MLGLinear, MLGSpec
from quantlab.generation.factors import Factors
from quantlab.generation.layers import project_layer
from quantlab.generation.projection import METHODS, Method, project
from quantlab.graphs.weights import weight_of

BITS = {
    "published": {"basis_bit": 3, "coeff_in_bit": 6, "coeff_out_bit": 3},
    "few": {"basis_bit": 2, "coeff_in_bit": 2, "coeff_out_bit": 2},
    "many": {"basis_bit": 8, "coeff_in_bit": 8, "coeff_out_bit": 8},
}


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).detach().norm() / expected.detach().norm())


def all_reach_their_ends(codes: Factors, spec: MLGSpec) -> bool:
    """Whether each factor has the last code of its grid, as those of dorefa_sym always do."""
    return all(
        found is not None and int(found.abs().max()) == 2 ** spec.bits[name] - 1
        for name, found in codes.by_name.items()
    )


@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq", "midtread"])
@pytest.mark.parametrize("bits", ["published", "many", pytest.param("few", marks=pytest.mark.long)])
def test_the_quantizers_give_the_codes_of_the_projection(quantizer: str, bits: str) -> None:
    spec = MLGSpec(base_in=2, base_out=5, quantizer=quantizer, **BITS[bits])
    dense = nn.Conv2d(6, 8, 3)
    expected = project(dense.weight, spec, method="qals")
    layer = MLGConv2d.from_dense(dense, spec, method="qals").train()
    if quantizer == "dorefa_sym" and not all_reach_their_ends(expected.codes, spec):
        assert relative(layer.weight, expected.factors.generate()) < 0.02
        return
    for name, codes in expected.codes.by_name.items():
        grid, latent = getattr(layer, f"{name}_quantizer"), getattr(layer, name)
        assert torch.equal(grid.codes(latent), codes), name
    torch.testing.assert_close(layer.weight, expected.factors.generate())
    layer(torch.randn(1, 6, 5, 5))  # after which scales follow the factors
    torch.testing.assert_close(layer.weight, expected.factors.generate())


@pytest.mark.parametrize("quantizer", ["dorefa_sym", "lsq", "midtread"])
@pytest.mark.parametrize("num_bits", [1, 2, 3, 4, 5, 6, 7, 8, 32])
def test_every_bit_width(quantizer: str, num_bits: int) -> None:
    if num_bits == 1 and quantizer != "dorefa_sym":
        return
    bits = dict.fromkeys(("basis_bit", "coeff_in_bit", "coeff_out_bit"), num_bits)
    spec = MLGSpec(base_in=2, base_out=5, quantizer=quantizer, **bits)
    dense = nn.Conv2d(6, 8, 3)
    layer = MLGConv2d.from_dense(dense, spec, method="svd")
    expected = project(dense.weight, spec, method="svd")
    assert relative(layer.weight, dense.weight) == pytest.approx(expected.error, abs=2e-3)


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(method, marks=[pytest.mark.long] if method == "train" else [])
        for method in METHODS
    ],
)
def test_every_method_is_better_than_chance(method: Method) -> None:
    dense = nn.Conv2d(6, 8, 3)
    before = weight_of(dense).detach().clone()
    error = project_layer(dense, MLGSpec(base_in=2, base_out=5), method=method, seed=1)
    assert error == pytest.approx(relative(weight_of(dense), before))
    assert error < 0.85


@pytest.mark.parametrize(
    ("dense", "changes"),
    [
        (nn.Linear(12, 10), {"base_out": 4}),
        (nn.Linear(12, 10), {"base_out": 4, "linear_block": 4}),
        (nn.Conv2d(6, 8, 1), {"base_out": 3}),
        (nn.Conv2d(12, 12, 3, groups=12), {"base_out": 4}),
        (nn.Conv2d(6, 8, 3, groups=2), {"base_out": 5}),
        (nn.Conv2d(6, 8, 3), {"base_out": 5, "base_in": 0}),
        (nn.Conv2d(6, 8, 3), {"base_out": 0, "base_in": 2}),
    ],
)
def test_every_kind_of_layer(dense: Any, changes: dict[str, int]) -> None:
    cls = MLGLinear if isinstance(dense, nn.Linear) else MLGConv2d
    layer = cls.from_dense(dense, MLGSpec(quantizer="lsq", **changes), method="svd")
    assert relative(layer.weight, dense.weight) < 0.9


def test_latent_numbers_lie_within_the_range_that_has_a_gradient() -> None:
    for quantizer in ("lsq", "midtread"):
        dense = nn.Conv2d(6, 8, 3)
        layer = MLGConv2d.from_dense(dense, MLGSpec(base_out=5, quantizer=quantizer, basis_bit=2))
        grid = layer.basis_quantizer
        steps = (layer.basis / grid.scale).detach()
        assert float(steps.min()) >= grid.quant_min
        assert float(steps.max()) <= grid.quant_max
        assert not torch.equal(steps, steps.round())


def test_a_weight_of_zeros() -> None:
    dense = nn.Conv2d(6, 8, 3)
    nn.init.zeros_(dense.weight)
    layer = MLGConv2d.from_dense(dense, MLGSpec(base_out=5, quantizer="lsq"))
    assert float(layer.weight.detach().abs().max()) < 1e-6


def test_numbers_too_large_for_tanh_are_refused() -> None:
    dense = nn.Conv2d(6, 8, 3)
    nn.init.normal_(dense.weight, std=100.0)
    with pytest.raises(UsageError, match="whose numbers end at 1, for factors with numbers of"):
        MLGConv2d.from_dense(dense, MLGSpec(base_out=5))
    MLGConv2d.from_dense(dense, MLGSpec(base_out=5, quantizer="lsq"))


@pytest.mark.parametrize("unlimited", [{"coeff_out_bit": 1}, {"coeff_in_bit": 32}])
def test_factors_without_a_limit_take_the_size(unlimited: dict[str, int]) -> None:
    torch.manual_seed(0)
    dense, spec = nn.Conv2d(6, 8, 3), MLGSpec(base_out=5, **unlimited)
    nn.init.normal_(dense.weight, std=100.0)
    layer = MLGConv2d.from_dense(dense, spec, method="svd")
    expected = project(dense.weight, spec, method="svd").error
    assert relative(layer.weight, dense.weight) == pytest.approx(expected, abs=0.02)
    assert float(torch.tanh(layer.basis.detach()).abs().max()) < 0.97


def test_a_projection_with_large_terms_gives_way_to_one_with_smaller_ones() -> None:
    dense = nn.Conv2d(16, 16, 3)
    nn.init.constant_(dense.weight, 0.05)
    layer = MLGConv2d.from_dense(dense, MLGSpec(base_out=6))
    assert relative(layer.weight, dense.weight) < 0.25


def test_unknown_methods_are_refused() -> None:
    with pytest.raises(UsageError, match="method: 'qual' given"):
        MLGConv2d.from_dense(nn.Conv2d(6, 8, 3), MLGSpec(base_out=5), method="qual")


@pytest.mark.parametrize(
    ("method", "shape", "bases"),
    [
        (None, (160, 160, 3), 6),
        ("svd", (160, 160, 3), 6),
        ("als", (160, 160, 3), 6),
        ("svd", (512, 512, 1), 16),
        ("svd", (512, 32, 3), 16),
        ("als", (32, 512, 3), 16),
        pytest.param("qals", (160, 160, 3), 6, marks=pytest.mark.long),
        pytest.param("qals", (1024, 1024, 1), 44, marks=pytest.mark.long),
        pytest.param("qals", (64, 2048, 3), 44, marks=pytest.mark.long),
    ],
)
def test_memory_peaks_at_four_dense_weights(
    method: Method | None, shape: tuple[int, int, int], bases: int
) -> None:
    outputs, inputs, kernel = shape
    dense = nn.Conv2d(inputs, outputs, kernel, bias=False)
    spec = MLGSpec(base_in=2, base_out=bases, quantizer="lsq")
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        MLGConv2d.from_dense(dense, spec, method=method)
    events = profiled.profiler.kineto_results.events()
    changes = [event.nbytes() for event in events if event.name() == "[memory]"]
    held = peak = 0
    for change in changes:
        held += change
        peak = max(peak, held)
    assert peak > 0
    assert peak <= 3 * dense.weight.nbytes  # beside the dense one
