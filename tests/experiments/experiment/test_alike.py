"""What differs between the hosts of a run; two real ones in tests/experiments/test_hosts.py."""

from dataclasses import replace

import pytest

from experiments.experiment.alike import Equipment, first_difference

ALPHA = Equipment(
    host="alpha",
    values={"python": "3.11.7", "torch": "2.13.0", "training.optimizer.params.lr": "0.1"},
    code={"quantlab": "00", "problems/Toy/data.py": "11"},
)
BETA = replace(ALPHA, host="beta")


@pytest.mark.parametrize(
    ("other", "line"),
    [
        (BETA, None),
        (
            replace(BETA, values={**ALPHA.values, "torch": "2.11.0"}),
            "beta: torch: 2.11.0, but 2.13.0 on alpha",
        ),
        (
            replace(BETA, values={**ALPHA.values, "horovod": "0.28.1"}),
            "beta: horovod: 0.28.1, but none on alpha",
        ),
        (
            replace(BETA, values={**ALPHA.values, "training.optimizer.params.lr": "0.2"}),
            "beta: training.optimizer.params.lr: 0.2, but 0.1 on alpha",
        ),
        (
            replace(BETA, code={**ALPHA.code, "quantlab": "01"}),
            "beta: quantlab: other code than on alpha",
        ),
        (
            replace(BETA, code={"quantlab": "00"}),
            "beta: problems/Toy/data.py: other code than on alpha",
        ),
    ],
)
def test_the_first_difference_names_its_host(other: Equipment, line: str | None) -> None:
    assert first_difference([ALPHA, ALPHA, other]) == line
