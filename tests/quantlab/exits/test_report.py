"""What a report says of exits, counted sample by sample."""

import numpy as np
import pytest

from quantlab.errors import UsageError
from quantlab.exits.report import exit_report

SCORES = [np.array(one, np.int32) for one in ([[5, 1], [3, 2], [0, 9]], [[1, 0], [0, 1], [0, 1]])]
TARGETS = np.array([0, 1, 0])


def test_shares_accuracies_and_costs() -> None:
    found = exit_report(SCORES, TARGETS, [3], [100, 1000])
    first, last = found.exits
    assert (first.threshold, last.threshold) == (3, None)
    assert first.share == pytest.approx(200 / 3)
    assert first.accuracy == 50  # one of the two that leave
    assert last.accuracy == 100
    assert first.alone == pytest.approx(100 / 3)
    assert found.accuracy == pytest.approx(200 / 3)
    assert found.cost == pytest.approx((100 + 100 + 1000) / 3)
    assert "400 MACs a sample on average" in str(found)


def test_an_exit_at_which_none_leaves_has_no_accuracy() -> None:
    found = exit_report(SCORES, TARGETS, [100], [1, 2], unit="instructions")
    assert found.exits[0].accuracy is None
    assert "instructions" in str(found)


def test_wrong_thresholds_are_refused() -> None:
    with pytest.raises(UsageError, match=r"^exits.thresholds: 2 given, 1 allowed"):
        exit_report(SCORES, TARGETS, [1, 2], [1, 2])
