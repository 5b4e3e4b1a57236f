import math

import numpy as np
import pytest
import torch

from problems.tables.meter import ErrorMeter
from quantlab.errors import UsageError
from tests.waiting import no_waiting

WANTED = np.random.default_rng(0).normal(size=(30, 2))
FOUND = WANTED + np.random.default_rng(1).normal(size=(30, 2))


def metered(*parts: slice) -> ErrorMeter:
    meter = ErrorMeter(())
    for part in parts:
        found, wanted = torch.from_numpy(FOUND[part]).float(), torch.from_numpy(WANTED[part])
        meter.update(found, wanted, torch.nn.functional.mse_loss(found, wanted.float()))
    return meter


def test_errors_are_those_of_the_definition() -> None:
    found = dict(metered(slice(0, 7), slice(7, 30)).compute())
    errors = FOUND - WANTED
    assert found["mae"] == pytest.approx(np.abs(errors).mean(), rel=1e-6)
    assert found["rmse"] == pytest.approx(math.sqrt((errors**2).mean()), rel=1e-6)
    assert found["loss"] == pytest.approx((errors**2).mean(), rel=1e-5)


def test_states_of_shards_add_up() -> None:
    whole, one, other = metered(slice(30)), metered(slice(0, 11)), metered(slice(11, 30))
    states = one.state(), other.state()
    one.load_state({name: states[0][name] + states[1][name] for name in states[0]})
    assert dict(one.compute()) == pytest.approx(dict(whole.compute()))


def test_an_axis_of_one_is_none() -> None:
    meter = ErrorMeter(())
    meter.update(torch.tensor([[1.0], [5.0]]), torch.tensor([2.0, 2.0]), torch.tensor(0.0))
    assert dict(meter.compute()) == {"mae": 2.0, "rmse": math.sqrt(5.0), "loss": 0.0}


def test_what_is_refused() -> None:
    with pytest.raises(UsageError, match=r"predictions of shape \[3, 2\] for targets of shape \[3"):
        ErrorMeter(()).update(torch.zeros(3, 2), torch.zeros(3), torch.tensor(0.0))
    with pytest.raises(UsageError, match="2 classes given; none allowed"):
        ErrorMeter(("a", "b"))
    with pytest.raises(UsageError, match="no sample was seen"):
        dict(ErrorMeter(()).compute())


def test_batches_do_not_wait_for_a_gpu() -> None:
    meter = metered(slice(0, 7))
    found, wanted, loss = torch.zeros(3, 2), torch.ones(3, 2), torch.tensor(1.0)
    with no_waiting():
        meter.update(found, wanted, loss)  # which brings its sums there
        meter.reset()
        meter.update(found, wanted, loss)
    assert dict(meter.compute()) == {"mae": 1.0, "rmse": 1.0, "loss": 1.0}
