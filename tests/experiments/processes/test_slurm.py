"""SLURM's variables, as srun sets them, against those of torchrun."""

import pytest

from experiments.processes.slurm import (
    as_torchrun,
    first_host,
    has_own_gpu,
    num_cores,
    num_tasks,
    tasks_of_nodes,
)
from quantlab.errors import UsageError

SRUN = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_ID": "2",
    "SLURM_NTASKS": "5",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_STEP_NUM_TASKS": "5",
    "SLURM_STEP_NODELIST": "gpu[03-05]",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
}


def test_a_process_of_srun() -> None:
    assert num_tasks(SRUN) == 5
    assert as_torchrun(SRUN) == {
        "RANK": "3",
        "WORLD_SIZE": "5",
        "LOCAL_RANK": "1",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "gpu03",
        "MASTER_PORT": "27112",
    }
    own = {"MASTER_ADDR": "10.1.1.1", "MASTER_PORT": "5000"}
    assert as_torchrun({**SRUN, **own}) == {**as_torchrun(SRUN), **own}


def test_steps_of_a_job_have_ports_of_their_own() -> None:
    ports = {as_torchrun({**SRUN, "SLURM_STEP_ID": str(i)})["MASTER_PORT"] for i in range(10)}
    assert len(ports) == 10
    assert all(20_000 <= int(port) < 30_000 for port in ports)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},  # a batch script
        {"SLURM_STEP_NUM_TASKS": "2"},
        {"SLURM_STEP_NUM_TASKS": "two", "SLURM_PROCID": "0"},
    ],
)
def test_who_was_not_started_by_srun(variables: dict[str, str]) -> None:
    assert num_tasks(variables) == 0


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("alpha", "alpha"),
        ("alpha,beta", "alpha"),
        ("node[01-04,07]", "node01"),
        ("node[7,9],cpu1", "node7"),
        ("rack[2-3]node[04-05].lab", "rack2node04.lab"),
    ],
)
def test_the_first_host(nodes: str, first: str) -> None:
    assert first_host(nodes) == first


def test_processes_of_each_node() -> None:
    assert tasks_of_nodes("2(x3),1") == [2, 2, 2, 1]
    assert tasks_of_nodes("4") == [4]


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("SLURM_LOCALID", "", "SLURM_LOCALID is not in the environment; srun sets it"),
        ("SLURM_JOB_ID", "x", "SLURM_JOB_ID='x' in the environment; srun sets a number"),
        ("SLURM_STEP_TASKS_PER_NODE", "2(x", r"SLURM_STEP_TASKS_PER_NODE='2\(x': expected"),
        ("SLURM_NODEID", "3", "SLURM_NODEID=3: SLURM_STEP_TASKS_PER_NODE has 3 nodes"),
    ],
)
def test_variables_that_srun_does_not_set_so(name: str, value: str, line: str) -> None:
    with pytest.raises(UsageError, match=line):
        as_torchrun({**SRUN, name: value})


@pytest.mark.parametrize(("asked", "is_own"), [("1", True), ("h200:1", True), ("2", False)])
def test_a_gpu_for_each_process(asked: str, is_own: bool) -> None:
    assert has_own_gpu({**SRUN, "SLURM_GPUS_PER_TASK": asked}) == is_own
    assert not has_own_gpu(SRUN)


def test_cores_of_each_process() -> None:
    assert num_cores({**SRUN, "SLURM_CPUS_PER_TASK": "8"}) == 8
    assert num_cores(SRUN) is None
