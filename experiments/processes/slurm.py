"""What SLURM tells a process that srun started, in the variables that torchrun sets.

https://slurm.schedmd.com/srun.html, "OUTPUT ENVIRONMENT VARIABLES"
"""

import re
from collections.abc import Mapping

from quantlab.errors import UsageError

_RANGES = re.compile(r"\[([^\]]*)\]")
_TASKS = re.compile(r"(\d+)(?:\(x(\d+)\))?")
_FIRST_PORT, _NUM_PORTS = 20_000, 10_000


def num_tasks(environment: Mapping[str, str]) -> int:
    """Return how many processes srun started with this one, 0 if srun did not start it: a batch
    script is told of the job's tasks, but of no step."""
    text = environment.get("SLURM_STEP_NUM_TASKS", "")
    has_place = environment.get("SLURM_PROCID", "").isdecimal()
    return int(text) if text.isdecimal() and has_place else 0


def as_torchrun(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of torchrun for a process of srun. A MASTER_ADDR or MASTER_PORT that is
    set stays; else it is the step's first host, and a port that the job and the step decide.

    Raises UsageError if SLURM's variables are not what srun sets.
    """
    node = _number(environment, "SLURM_NODEID")
    tasks = tasks_of_nodes(_text(environment, "SLURM_STEP_TASKS_PER_NODE"))
    if node >= len(tasks):
        raise UsageError(f"SLURM_NODEID={node}: SLURM_STEP_TASKS_PER_NODE has {len(tasks)} nodes")
    step = 10 * _number(environment, "SLURM_JOB_ID") + _number(environment, "SLURM_STEP_ID")
    return {
        "RANK": str(_number(environment, "SLURM_PROCID")),
        "WORLD_SIZE": str(_number(environment, "SLURM_STEP_NUM_TASKS")),
        "LOCAL_RANK": str(_number(environment, "SLURM_LOCALID")),
        "LOCAL_WORLD_SIZE": str(tasks[node]),
        "MASTER_ADDR": environment.get("MASTER_ADDR")
        or first_host(_text(environment, "SLURM_STEP_NODELIST")),
        "MASTER_PORT": environment.get("MASTER_PORT") or str(_FIRST_PORT + step % _NUM_PORTS),
    }


def has_own_gpu(environment: Mapping[str, str]) -> bool:
    """Return whether srun lets each process see its own GPU alone (`--gpus-per-task=1`)."""
    return environment.get("SLURM_GPUS_PER_TASK", "").rpartition(":")[2] == "1"


def num_cores(environment: Mapping[str, str]) -> int | None:
    """Return the cores of each process if they were asked for (`--cpus-per-task`)."""
    text = environment.get("SLURM_CPUS_PER_TASK", "")
    return int(text) if text.isdecimal() else None


def first_host(nodes: str) -> str:
    """Return the first host of a list as SLURM writes it: `gpu[03-05,9],cpu1` gives `gpu03`."""
    plain = _RANGES.sub(lambda ranges: re.split("[-,]", ranges[1])[0], nodes)
    return plain.split(",")[0]


def tasks_of_nodes(text: str) -> list[int]:
    """Return the number of processes on each node: `2(x3),1` gives 2, 2, 2, 1."""
    matches = [_TASKS.fullmatch(part) for part in text.split(",")]
    if not all(matches):
        raise UsageError(f"SLURM_STEP_TASKS_PER_NODE={text!r}: expected numbers, as 2(x3),1")
    return [int(m[1]) for m in matches if m is not None for _ in range(int(m[2] or 1))]


def _number(environment: Mapping[str, str], name: str) -> int:
    text = _text(environment, name)
    if not text.isdecimal():
        raise UsageError(f"{name}={text!r} in the environment; srun sets a number")
    return int(text)


def _text(environment: Mapping[str, str], name: str) -> str:
    if not environment.get(name):
        raise UsageError(f"{name} is not in the environment; srun sets it")
    return environment[name]
