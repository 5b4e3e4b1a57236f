import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from quantlab.compression.vbmf import evbmf
from quantlab.errors import UsageError


def low_rank(rank: int, shape: tuple[int, int], noise: float, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    signal = random.normal(size=(shape[0], rank)) @ random.normal(size=(rank, shape[1]))
    return signal + noise * random.normal(size=shape)


@pytest.mark.parametrize("shape", [(40, 40), (30, 90), (90, 30), (16, 400)])
@pytest.mark.parametrize("rank", [1, 3, 8])
def test_the_rank_beneath_noise_is_found(rank: int, shape: tuple[int, int]) -> None:
    result = evbmf(low_rank(rank, shape, noise=0.5))
    assert result.rank == len(result.singular_values) == rank
    assert result.noise_variance == pytest.approx(0.25, rel=0.15)


@pytest.mark.parametrize("shape", [(40, 40), (20, 200), (200, 20), (2, 50)])
def test_noise_has_rank_0(shape: tuple[int, int]) -> None:
    result = evbmf(low_rank(0, shape, noise=3.0))
    assert result.rank == 0
    assert result.singular_values.shape == (0,)
    assert result.noise_variance == pytest.approx(9.0, rel=0.25)


def component(singular: float, variance: float, shape: tuple[int, int]) -> tuple[float, float]:
    """Return the least of twice the free energy that a component with both factors can add, and
    the product of their means: found by descent over the logarithms of these means, of the
    variances of both posteriors and of both priors. Without factors it adds 0."""
    rows, columns = shape

    def free_energy(logs: np.ndarray) -> float:
        a, b, of_a, of_b, prior_a, prior_b = np.exp(logs)
        a_squared, b_squared = a**2 + columns * of_a, b**2 + rows * of_b
        return float(
            columns * (np.log(prior_a / of_a) - 1)
            + rows * (np.log(prior_b / of_b) - 1)
            + a_squared / prior_a
            + b_squared / prior_b
            + (-2 * singular * a * b + a_squared * b_squared) / variance
        )

    start = np.log([np.sqrt(singular)] * 2 + [variance / singular] * 2 + [singular / rows] * 2)
    best = minimize(free_energy, start, method="L-BFGS-B", options={"maxiter": 5_000})
    return best.fun, np.exp(best.x[:2]).prod()


def test_the_values_minimize_the_free_energy() -> None:
    """Of the posterior of each component that is kept; of others, none has less than 0."""
    matrix = low_rank(2, (12, 30), noise=0.5)
    result = evbmf(matrix)
    singular = np.linalg.svd(matrix, compute_uv=False)
    found = [component(value, result.noise_variance, matrix.shape) for value in singular]
    assert [energy < 0 for energy, _ in found] == [True] * 2 + [False] * 10
    means = [mean for _, mean in found[:2]]
    np.testing.assert_allclose(means, result.singular_values, rtol=1e-3)
    assert (result.singular_values < singular[:2]).all()


@pytest.mark.parametrize(("rank", "noise"), [(0, 0.5), (2, 0.5), (1, 2.0)])
def test_the_noise_minimizes_the_free_energy(rank: int, noise: float) -> None:
    matrix = low_rank(rank, (12, 30), noise)
    result = evbmf(matrix)
    singular = np.linalg.svd(matrix, compute_uv=False)

    def free_energy(variance: float) -> float:
        added = [component(value, variance, matrix.shape)[0] for value in singular[: rank + 1]]
        known = matrix.size * np.log(variance) + (singular**2).sum() / variance
        return known + sum(min(energy, 0.0) for energy in added)

    at = [0.5, 0.8, 0.97, 1.0, 1.03, 1.25, 2.0]
    energies = [free_energy(result.noise_variance * factor) for factor in at]
    assert int(np.argmin(energies)) == at.index(1.0)


@given(st.integers(0, 4), st.integers(1, 24), st.integers(1, 24), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=30)
def test_neither_transposing_nor_scaling_changes_the_rank(
    rank: int, rows: int, columns: int, seed: int
) -> None:
    matrix = low_rank(rank, (rows, columns), noise=0.3, seed=seed)
    result = evbmf(matrix)
    assert 0 <= result.rank <= min(rows, columns)
    assert (np.diff(result.singular_values) <= 0).all()
    assert evbmf(matrix.T).rank == result.rank
    for factor in (2.0**-300, -(2.0**200)):
        scaled = evbmf(matrix * factor)
        assert scaled.rank == result.rank
        np.testing.assert_allclose(scaled.singular_values, result.singular_values * abs(factor))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("rank", [1, 5, 11])
def test_rounding_errors_are_noise(rank: int, dtype: type) -> None:
    matrix = low_rank(rank, (20, 30), noise=0.0)
    result = evbmf(matrix.astype(dtype))
    assert result.rank == rank
    assert result.noise_variance < (30 * np.finfo(dtype).eps * np.abs(matrix).max()) ** 2
    singular = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(result.singular_values, singular[:rank], rtol=2e-2)


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_factors_of_the_rank_have_fewer_elements(rows: int, columns: int, seed: int) -> None:
    matrix = low_rank(min(rows, columns), (rows, columns), noise=0.0, seed=seed)
    assert evbmf(matrix).rank * (rows + columns) < rows * columns


def test_rows_and_columns_of_zeros_do_not_count() -> None:
    matrix = low_rank(2, (20, 30), noise=0.5)
    larger = np.zeros((40, 50))
    larger[::2, 10:40] = matrix
    assert evbmf(larger).rank == evbmf(matrix).rank == 2
    assert evbmf(larger).noise_variance == evbmf(matrix).noise_variance


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
@pytest.mark.parametrize("value", [0.0, 2.0])
def test_one_row_cannot_be_told_from_noise(shape: tuple[int, int], value: float) -> None:
    assert evbmf(np.full(shape, value)).rank == 0


def test_zeros_have_rank_0() -> None:
    result = evbmf(np.zeros((4, 6)))
    assert (result.rank, result.noise_variance) == (0, 0.0)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_fewer_bits_do(dtype: type) -> None:
    matrix = low_rank(3, (30, 40), noise=0.5)
    assert evbmf(matrix.astype(dtype)).rank == evbmf(matrix).rank == 3


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones(3), r"matrix: \[3\] given, an array \[L, M\]"),
        (np.ones((0, 3)), r"matrix: \[0, 3\] given"),
        ([[1.0]], "matrix: list given"),
        (np.ones((2, 2), int), "matrix: int64 given, an array of real numbers allowed"),
        (np.array([[1.0, np.nan]]), "matrix: nan given, finite numbers allowed"),
        (np.array([[np.inf, 1.0]]), "matrix: inf given"),
    ],
)
def test_other_arguments_are_one_line(matrix: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        evbmf(matrix)
