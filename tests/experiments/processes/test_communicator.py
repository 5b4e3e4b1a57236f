"""What processes tell each other."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from experiments.processes.communicator import Single, TorchDistributed, connect
from quantlab.errors import DataError, UsageError
from tests.lab import CHECKOUT
from tests.ranks import collectives, run_on_ranks

needs_horovod = pytest.mark.skipif(
    find_spec("horovod") is None, reason="Horovod is not built; run: bash cfg/horovod.sh"
)
VARIABLES = ("HOROVOD_RANK", "HOROVOD_SIZE", "RANK", "WORLD_SIZE", "MASTER_ADDR", "LOCAL_RANK")


def surround(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("variables", [{}, {"RANK": "one", "WORLD_SIZE": "2"}])
def test_torch_outside_torchrun(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    surround(monkeypatch, variables)
    with pytest.raises(UsageError, match=r"RANK=.*in the environment; torchrun sets a number"):
        TorchDistributed()


def test_torch_without_an_address_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    surround(monkeypatch, {"RANK": "0", "WORLD_SIZE": "2"})
    with pytest.raises(UsageError, match="MASTER_ADDR"):
        TorchDistributed()


def test_srun_without_its_variables_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    surround(monkeypatch, {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "0"})
    with pytest.raises(UsageError, match="SLURM_NODEID is not in the environment; srun sets it"):
        connect("slurm")


def test_alone() -> None:
    alone = connect("single")
    assert isinstance(alone, Single)
    assert (alone.rank, alone.size, alone.is_root) == (0, 1, True)
    tensor = torch.tensor([1.0, 2.0])
    reduced = alone.all_reduce(tensor)
    assert torch.equal(reduced, tensor)
    assert reduced is not tensor
    assert alone.gather({"a": 1}) == [{"a": 1}]
    assert alone.from_root(lambda: 7) == 7
    with pytest.raises(DataError, match="gone"):
        alone.from_root(fail)


def fail() -> None:
    raise DataError("gone")


# Sums on a stream of its own, while the GPU is still busy with what is summed.
SUM_ON_A_STREAM = """
import os, torch
from experiments.processes.communicator import Horovod
horovod = Horovod(7)
print(os.environ["HOROVOD_GLOO_TIMEOUT_SECONDS"])
print(os.environ.get("HOROVOD_ENABLE_ASYNC_COMPLETION"))
device = "cuda" if torch.cuda.is_available() else "cpu"
flat = torch.zeros(1 << 20, device=device)
large = torch.zeros(4096 if device == "cuda" else 8, 4096, device=device)
with torch.cuda.stream(torch.cuda.Stream() if device == "cuda" else None):
    for step in range(20):
        for _ in range(20):
            large = (large @ large.T @ large) if device == "cuda" else large
        flat.fill_(step).add_(large.sum())
        horovod.start_sum(flat, "gradient.0")()
        assert torch.equal(flat.cpu(), torch.full((1 << 20,), float(step))), step
horovod.close()
"""


@needs_horovod
def test_horovod_sums_in_the_order_of_the_current_stream() -> None:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("HOROVOD")}
    command = [sys.executable, "-c", SUM_ON_A_STREAM]
    done = subprocess.run(
        command, cwd=CHECKOUT, env=environment, check=True, capture_output=True, text=True
    )
    import horovod.torch as hvd

    is_asynchronous = hvd.nccl_built() and torch.cuda.is_available()
    assert done.stdout.split() == ["7", "1" if is_asynchronous else "None"]


def test_two_processes(tmp_path: Path) -> None:
    for rank, found in enumerate(run_on_ranks(collectives, tmp_path)):
        assert found["place"] == [rank, 2, rank]
        assert found["reduced"]["sum"].tolist() == [1.0, 19.0]
        assert found["reduced"]["min"].tolist() == [0.0, 9.0]
        assert found["reduced"]["max"].tolist() == [1.0, 10.0]
        assert found["mine"].tolist() == [float(rank), 10.0 - rank], "the input was changed"
        assert found["broadcast"].tolist() == [0.0, 0.0, 0.0]
        assert found["gathered"] == [{"rank": 0}, {"rank": 1}]
        assert found["from_root"] == "made on 0"
        assert found["message"] == "DataError: nothing there"
        assert found["merged"]["count"].tolist() == [[2**53], [2**53]]
