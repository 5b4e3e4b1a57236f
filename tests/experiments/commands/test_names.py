"""Names on the command line, before a command is imported."""

import pytest

from experiments.commands.names import check_names
from quantlab.errors import UsageError
from tests.lab import Lab


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"problem": "Toy"},
        {"problem": "Toy", "topology": "Tiny", "dist": "torch"},
        {"topology": "Tiny"},  # of any problem
        {"problem": "Toy", "exp_id": "99", "config": "none"},  # the commands look for these
    ],
)
def test_names_that_exist(lab: Lab, options: dict[str, str]) -> None:
    check_names(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"problem": "Tyo", "topology": "Tiny"}, "no problem named 'Tyo'; did you mean 'Toy'"),
        ({"problem": "Toy", "topology": "Tinny"}, "no topology of Toy named 'Tinny'; did you"),
        (
            {"problem": "Toy", "dist": "mpi"},
            "--dist=mpi: allowed are horovod, torch, slurm, single",
        ),
    ],
)
def test_names_that_do_not(lab: Lab, options: dict[str, str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_names(options)
