"""The bars of the projection's measurements, its rivals beside what they must be, and the page."""

import pytest
import torch

from benchmarks.projection.codebooks import codebook_error, kmeans
from benchmarks.projection.scalars import entropy, scalar_error
from tests.benchmarks.figures import measured
from tests.benchmarks.projection_figures import PAGE, lines, on_page


def test_the_page_has_the_figures() -> None:
    assert on_page(PAGE.read_text(encoding="utf-8")) == list(lines())


def test_least_squares_on_the_grid_are_better_than_the_published_training() -> None:
    rows = measured("generation_projection")
    assert sum(row["qals"] / row["train_last"] for row in rows) / len(rows) <= 0.97
    assert all(row["qals"] <= row["train_best"] for row in rows)
    assert sum(row["qals_seconds"] for row in rows) <= sum(row["train_seconds"] for row in rows) / 8


def test_allocated_bits_are_better_than_the_published_ones_and_the_rivals() -> None:
    rows = measured("generation_projection")
    assert sum(row["allocated"] / row["qals"] for row in rows) / len(rows) <= 0.92
    for row in rows:
        assert row["allocated"] <= min(row["codebooks"], row["scalars"]), row["layer"]


def test_codebooks_of_few_kernels_are_exact() -> None:
    torch.manual_seed(0)
    kernels = torch.tensor([-1.0, 1.0])[torch.randint(2, (3, 9))]
    vectors = kernels[torch.randint(3, (64,))]
    centroids, nearest = kmeans(vectors, 3, seed=0)
    torch.testing.assert_close(centroids[nearest], vectors)
    assert codebook_error(vectors.view(8, 8, 3, 3), 60) < 0.5
    assert codebook_error(vectors.view(8, 8, 3, 3), 5) == 1.0


def test_scalars_are_near_the_bound_of_normal_numbers() -> None:
    """At two bits the least error is 2^-2; a uniform grid needs about a quarter of a bit more."""
    torch.manual_seed(0)
    weight = torch.randn(64, 64, 3, 3)
    error = scalar_error(weight, 64 * 64 * 9 * 2 // 8)
    assert 0.25 < error < 0.3
    assert entropy(torch.arange(8)) == pytest.approx(24)
