"""Functions run by two processes that are joined by Gloo, and how to run them."""

import multiprocessing
import os
import socket
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from experiments.experiment.beginning import begin
from experiments.experiment.experiment import Experiment
from experiments.processes.communicator import Communicator, TorchDistributed
from experiments.processes.gradients import GradientSum
from experiments.processes.session import Session
from experiments.runs.checkpoints import Checkpoints
from experiments.training.evaluation import merge
from experiments.training.trainer import Trainer
from quantlab.errors import DataError, QuantLabError
from tests.recorded_graphs import RecordedGraphs
from tests.toy.experiments import toy_experiment
from tests.toy.meters import Sums
from tests.toy.Toy.Tiny.network import Plain

NUM_RANKS = 2


def run_on_ranks(function: Callable[[TorchDistributed], Any], folder: Path) -> list[Any]:
    """Return what `function` returns on each rank, each a process of its own.

    The server that also forks the workers of loaders forks them: it imports torch once.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    multiprocessing.set_forkserver_preload(["experiments.data.worker_server"])
    torch.multiprocessing.start_processes(
        _rank, args=(function, folder, port), nprocs=NUM_RANKS, start_method="forkserver"
    )
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(NUM_RANKS)]


def _rank(rank: int, function: Callable[[TorchDistributed], Any], folder: Path, port: int) -> None:
    torch.set_num_threads(1)
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(NUM_RANKS),
        "LOCAL_RANK": str(rank),
        "LOCAL_WORLD_SIZE": str(NUM_RANKS),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
    }
    communicator = TorchDistributed()
    torch.save(function(communicator), folder / f"{rank}.pt")
    communicator.close()


def network_of_all_kinds() -> nn.ModuleDict:
    """Convolution in channels_last, a parameter that nothing uses, one that rank 1 does not reach,
    a frozen one, two types."""
    torch.manual_seed(0)
    parts = nn.ModuleDict(
        {
            "conv": nn.Conv2d(3, 4, 3, bias=False),
            "linear": nn.Linear(4, 2),
            "sometimes": nn.Linear(2, 2),
            "never": nn.Linear(5, 5),
            "frozen": nn.Linear(2, 2),
        }
    )
    parts["frozen"].requires_grad_(False)
    parts["linear"].double()
    parts["conv"].to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's overloads
    return parts


def forward(parts: nn.ModuleDict, x_NCHW: Tensor, *, is_deep: bool) -> Tensor:
    features = parts["conv"](x_NCHW).mean((2, 3)).double()
    scores: Tensor = parts["frozen"](parts["linear"](features).float())
    return parts["sometimes"](scores) if is_deep else scores


def inputs() -> Tensor:
    return torch.randn(7, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def summed_gradients(communicator: TorchDistributed) -> dict[str, Tensor]:
    """Two steps: one of uneven shares, one in which rank 1 has no samples. The gradients of both,
    and the strides that they have."""
    parts = network_of_all_kinds()
    sums = GradientSum(list(parts.parameters()), communicator)
    found: dict[str, Tensor] = {}
    shares = {0: [inputs()[:4], inputs()[4:5]], 1: [inputs()[5:]]}
    for step, batches in enumerate((shares[communicator.rank], None)):
        parts.zero_grad(set_to_none=True)
        if batches is None:
            batches = [inputs()] if communicator.is_root else []
            sums.arm()
        for i, batch in enumerate(batches):
            if i == len(batches) - 1:
                sums.arm()
            loss = forward(parts, batch, is_deep=communicator.is_root).square().sum()
            loss.backward()
        sums.finish()
        for name, parameter in parts.named_parameters():
            if parameter.grad is not None:
                found[f"{step}.{name}"] = parameter.grad.clone()
                found[f"{step}.{name}.stride"] = torch.tensor(parameter.grad.stride())
    return found


def collectives(communicator: TorchDistributed) -> dict[str, Any]:
    rank = communicator.rank
    mine = torch.tensor([float(rank), 10.0 - rank])
    sent = torch.full((3,), float(rank))
    communicator.broadcast(sent)
    communicator.barrier()
    try:
        communicator.from_root(_fail)
        message = ""
    except QuantLabError as error:
        message = f"{type(error).__name__}: {error}"
    meter = Sums()
    meter.update(torch.tensor([2.0**52 + rank]))
    merge(meter, communicator)
    return {
        "place": [communicator.rank, communicator.size, communicator.local_rank],
        "reduced": {op: communicator.all_reduce(mine, op) for op in ("sum", "min", "max")},
        "mine": mine,
        "broadcast": sent,
        "gathered": communicator.gather({"rank": rank}),
        "from_root": communicator.from_root(lambda: f"made on {rank}"),
        "message": message,
        "merged": meter.state(),
    }


def _fail() -> None:
    raise DataError("nothing there")


def captured_weights(communicator: TorchDistributed) -> dict[str, Any]:
    """The weights of a toy run whose steps are captured, and of one whose steps are not."""
    graphs = RecordedGraphs()
    found = {
        name: trained_weights(communicator, graphs, f"training.capture={capture}")
        for name, capture in (("captured", "auto"), ("usual", "never"))
    }
    return {**found, "num_recorded": graphs.num_recorded}


def taught_weights(communicator: Communicator) -> dict[str, Any]:
    """The weights of runs that learn from a teacher; a step has eight samples."""
    given = (
        "network.class=Plain",
        f"data.batch_size={8 // communicator.size}",
        "data.limit=43",  # the last step is partial
        "teacher.checkpoint={folder}/teacher.pt",
    )
    graphs = RecordedGraphs()
    return {
        "captured": trained_weights(communicator, graphs, *given),
        "usual": trained_weights(communicator, graphs, *given, "training.capture=never"),
        "num_recorded": graphs.num_recorded,
    }


def trained_weights(
    communicator: Communicator, graphs: RecordedGraphs, *overrides: str
) -> dict[str, Tensor]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        session = Session(communicator=communicator, device=torch.device("cpu"), threads=1)
        torch.manual_seed(11)
        torch.save(Plain().state_dict(), folder / "teacher.pt")
        given = [override.format(folder=folder) for override in overrides]
        toy = replace(
            toy_experiment(folder, "data.batch_size=4", "experiment.epochs=3", *given),
            session=session,
        )
        trainer = _trainer(toy, folder, graphs)
        assert trainer.fit()
        return trainer.assembly.network.state_dict()


def begun_weights(communicator: Communicator) -> dict[str, Any]:
    """The weights, and their average, with which a run begins whose teacher differs a bit on each
    rank, as its projection would on other processors."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        torch.manual_seed(11)
        teacher = {
            key: value * (1 + 1e-3 * communicator.rank)
            for key, value in Plain().state_dict().items()
        }
        torch.save(teacher, folder / "teacher.pt")
        given = (
            "network.class=Plain",
            f"teacher.checkpoint={folder}/teacher.pt",
            "mlg={layers: type:Linear, base_out: 3, base_in: 2, projection_alg: svd}",
            "training.ema.decay=0.9",
        )
        session = Session(communicator=communicator, device=torch.device("cpu"), threads=1)
        toy = replace(toy_experiment(folder, *given), session=session)
        trainer = _trainer(toy, folder, None)
        begin(toy, trainer, 0, lambda line: None)
        assert trainer.assembly.ema is not None
        return {
            "network": trainer.assembly.network.state_dict(),
            "average": trainer.assembly.ema.state_dict(),
        }


def _trainer(toy: Experiment, folder: Path, graphs: RecordedGraphs | None) -> Trainer:
    return Trainer(
        assembly=toy.assemble(0),
        experiment=toy.config.experiment,
        training=toy.config.training,
        checkpoint=toy.config.checkpoint,
        train=toy.loader(toy.data.train, toy.split(0).train, 0, is_training=True),
        valid=None,
        new_meter=toy.new_meter,
        postprocess=toy.library.postprocess,
        precision=toy.precision(),
        communicator=toy.session.communicator,
        device=toy.session.device,
        checkpoints=Checkpoints(folder / "saves"),
        logbook=None,
        graphs=graphs,
        seed=0,
        say=lambda line: None,
    )
