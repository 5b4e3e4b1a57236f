"""Who started the process."""

import pytest

from experiments.processes.launcher import detect_launcher, launched_rank
from quantlab.errors import UsageError

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "1"}
VARIABLES = ("HOROVOD_RANK", "HOROVOD_SIZE", "RANK", "WORLD_SIZE", "MASTER_ADDR", "LOCAL_RANK")


@pytest.mark.parametrize(
    ("variables", "explicit", "launcher", "rank"),
    [
        ({}, None, "single", 0),
        ({"HOROVOD_RANK": "3", "HOROVOD_SIZE": "4"}, None, "horovod", 3),
        (TORCHRUN, None, "torch", 1),
        ({**TORCHRUN, "HOROVOD_RANK": "0"}, None, "horovod", 0),
        ({"RANK": "1"}, None, "single", 1),
        ({"RANK": "1", "WORLD_SIZE": "2"}, None, "single", 1),
        ({"HOROVOD_RANK": "1"}, "single", "single", 1),
        ({}, "torch", "torch", 0),
        ({"HOROVOD_RANK": ""}, "single", "single", 0),
    ],
)
def test_launchers_are_told_apart(
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    explicit: str | None,
    launcher: str,
    rank: int,
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert detect_launcher(explicit) == launcher
    assert launched_rank() == rank


def test_unknown_launcher() -> None:
    with pytest.raises(UsageError, match="--dist=mpi: allowed are horovod, torch, single"):
        detect_launcher("mpi")
