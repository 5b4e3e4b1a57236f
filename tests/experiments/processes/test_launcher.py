"""Who started the process."""

import pytest

from experiments.processes.launcher import detect_launcher, launched_local_rank, launched_rank
from quantlab.errors import UsageError

TORCHRUN = {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "h", "MASTER_PORT": "1"}
SRUN = {"SLURM_PROCID": "3", "SLURM_LOCALID": "1", "SLURM_STEP_NUM_TASKS": "4"}
VARIABLES = ("HOROVOD_RANK", "HOROVOD_LOCAL_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR")
VARIABLES += ("LOCAL_RANK", *SRUN)


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
        (SRUN, None, "slurm", 3),
        ({**SRUN, **TORCHRUN}, None, "torch", 1),  # torchrun in a step of SLURM
        ({**SRUN, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None, "single", 0),
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "4"}, None, "single", 0),  # a batch script
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


@pytest.mark.parametrize(
    ("variables", "local_rank"),
    [
        ({}, 0),
        ({**TORCHRUN, "LOCAL_RANK": "2"}, 2),
        (TORCHRUN, 1),
        ({"HOROVOD_RANK": "3", "HOROVOD_LOCAL_RANK": "1"}, 1),
        (SRUN, 1),
    ],
)
def test_the_rank_on_the_host(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], local_rank: int
) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched_local_rank() == local_rank


def test_unknown_launcher() -> None:
    with pytest.raises(UsageError, match="--dist=mpi: allowed are horovod, torch, slurm, single"):
        detect_launcher("mpi")
