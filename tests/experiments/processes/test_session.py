"""Device, threads, determinism and what is said, on machines with and without GPUs."""

import os
from collections.abc import Iterator

import pytest
import torch

from experiments.experiment.session import session_of
from experiments.processes import session
from experiments.processes.communicator import Launcher, Single
from experiments.processes.session import Session, local_session
from experiments.training.config import ExperimentConfig
from quantlab.errors import UsageError


class Place(Single):
    """One of several processes of a host, without the others."""

    def __init__(self, launcher: Launcher = "torch", rank: int = 0, size: int = 1) -> None:
        self.launcher = launcher
        self.rank = self.local_rank = rank
        self.size = self.local_size = size


@pytest.fixture(autouse=True)
def _settings_of_the_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Settings of torch as they were, no launcher, no GPU."""
    threads = torch.get_num_threads()
    is_deterministic = torch.are_deterministic_algorithms_enabled()
    benchmark = torch.backends.cudnn.benchmark
    for name in ("HOROVOD_RANK", "RANK", "WORLD_SIZE", "MASTER_ADDR", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that what a test sets goes with it
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(is_deterministic)
    torch.backends.cudnn.benchmark = benchmark


def opened(
    monkeypatch: pytest.MonkeyPatch, place: Place, config: ExperimentConfig | None = None
) -> Session:
    monkeypatch.setattr(session, "connect", lambda *_: place)
    return session_of(config or ExperimentConfig(), None)


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


def test_cuda_without_a_gpu_is_one_clear_line() -> None:
    with pytest.raises(UsageError) as caught:
        session_of(ExperimentConfig(device="cuda"), None)
    assert str(caught.value) == (
        "experiment.device: 'cuda', but torch finds no GPU; allowed here: cpu, auto"
    )


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_the_cpu_where_there_is_no_gpu(device: str) -> None:
    config = ExperimentConfig.model_validate({"device": device})
    assert session_of(config, None).device == torch.device("cpu")


def test_the_cpu_beside_a_gpu_if_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    place = Place(rank=3, size=4)
    assert opened(monkeypatch, place, ExperimentConfig(device="cpu")).device.type == "cpu"
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_each_process_has_the_gpu_of_its_place(
    monkeypatch: pytest.MonkeyPatch, device: str
) -> None:
    chosen: list[torch.device] = []
    with_gpus(monkeypatch, 4)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    config = ExperimentConfig.model_validate({"device": device})
    found = opened(monkeypatch, Place(rank=2, size=4), config)
    assert [found.device] == chosen == [torch.device("cuda", 2)]
    assert torch.backends.cudnn.benchmark


def test_a_process_of_srun_that_sees_its_gpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    place = Place("slurm", rank=2, size=3)
    place.has_own_gpu = True
    assert opened(monkeypatch, place).device == torch.device("cuda", 0)


def test_a_process_of_srun_has_the_cores_that_were_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(3)))
    assert opened(monkeypatch, Place("slurm", size=2)).threads == 3
    assert opened(monkeypatch, Place("torch", size=2)).threads == 1


def test_more_processes_than_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 2)
    with pytest.raises(UsageError) as caught:
        opened(monkeypatch, Place(rank=2, size=3))
    assert str(caught.value) == (
        "3 processes on a host with 2 GPUs; start one process a GPU, "
        "or set experiment.device to cpu"
    )


@pytest.mark.parametrize("threads", [1, 3])
def test_the_threads_that_are_given_are_set(threads: int) -> None:
    found = session_of(ExperimentConfig(threads=threads), None)
    assert found.threads == torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("num_cores", "num_processes", "threads"), [(8, 1, 8), (8, 3, 2), (2, 4, 1)]
)
def test_by_default_the_processes_share_the_cores(
    monkeypatch: pytest.MonkeyPatch, num_cores: int, num_processes: int, threads: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(num_cores)))
    found = opened(monkeypatch, Place(size=num_processes))
    assert found.threads == torch.get_num_threads() == threads


def test_deterministic_algorithms_if_asked_for() -> None:
    torch.use_deterministic_algorithms(False)
    session_of(ExperimentConfig(), None)
    assert not torch.are_deterministic_algorithms_enabled()
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    session_of(ExperimentConfig(deterministic=True), None)
    assert torch.are_deterministic_algorithms_enabled()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_determinism_leaves_the_workspace_that_the_user_chose(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    session_of(ExperimentConfig(deterministic=True), None)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_determinism_keeps_cudnn_from_trying_out_algorithms(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_gpus(monkeypatch, 1)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    torch.backends.cudnn.benchmark = True
    opened(monkeypatch, Place(), ExperimentConfig(deterministic=True))
    assert not torch.backends.cudnn.benchmark


def test_an_unknown_launcher() -> None:
    with pytest.raises(UsageError, match="--dist=mpi: allowed are horovod, torch, slurm, single"):
        session_of(ExperimentConfig(), "mpi")


def test_rank_0_alone_speaks_and_as_it_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    cpu = torch.device("cpu")
    for rank in (1, 0):
        place = Place(rank=rank, size=2)
        Session(communicator=place, device=cpu, threads=1).say(f"rank [bold] {rank}")
    assert capsys.readouterr().out == "rank [bold] 0\n"


@pytest.mark.parametrize(
    ("launcher", "size", "words"),
    [
        ("single", 1, "1 process by python, CPU, 2 threads"),
        ("torch", 1, "1 process by torchrun, CPU, 2 threads"),
        ("slurm", 2, "2 processes by srun, CPU, 2 threads"),
        ("horovod", 3, "3 processes by horovodrun, CPU, 2 threads"),
    ],
)
def test_how_a_session_describes_itself(launcher: Launcher, size: int, words: str) -> None:
    place = Place(launcher, size=size)
    found = Session(communicator=place, device=torch.device("cpu"), threads=2)
    assert found.describe() == words


def test_a_gpu_goes_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"Card {device.index}")
    found = Session(communicator=Place(), device=torch.device("cuda", 1), threads=2)
    assert found.describe() == "1 process by torchrun, Card 1"


def test_a_local_session_is_one_process_on_the_cpu_with_the_threads_there_are() -> None:
    torch.set_num_threads(2)
    found = local_session()
    assert (found.communicator.size, found.communicator.launcher) == (1, "single")
    assert (found.device, found.threads) == (torch.device("cpu"), 2)
