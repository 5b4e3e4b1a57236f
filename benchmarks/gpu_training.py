"""Training on a GPU: the time of an epoch beside a hand-written loop, and what capturing gives.

CIFAR10/ResNet with 18 layers, batch 512 per GPU, bfloat16, channels_last, torch.compile, the data
on the GPU. All sides train in one process in turn, with the same augmentation and schedule: a loop
that anyone would write, with SGD in its fused form; our trainer with its logging, metrics and
checkpoints on, its steps captured, and with `training.capture: never`; Lightning where it is
installed, with logging, metrics and checkpoints on. Then, our trainer's captured steps beside its
usual ones: ResNet-18 on made-up photos of 224 x 224 pixels, batch 256, and LeNet on MNIST, batch
256, in float32 and not compiled, where the GPU has next to nothing to do.

    python -m benchmarks.gpu_training [FOLDER] [--only NAME ...] [--no-lightning]

Photos: the problem's data folder, else synthetic ones of the same shape (the time is the same).
The rows of a network are written to the folder as soon as they are there, and not measured again.
"""

import copy
import re
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from torch import Tensor, nn

from benchmarks.chip_rate import product_rate, step_flops, synchronize
from benchmarks.harness import Figure, Row, interleaved, origin, report
from benchmarks.kept_rows import KeptRows
from benchmarks.training import experiment_of, new_trainer, run_of, with_training
from experiments.data.loader import Loader, place
from experiments.experiment.experiment import Experiment
from experiments.protocols import Data, InMemory
from experiments.training.trainer import Trainer

REPEATS = 3
# A call is a run of so many epochs: checkpoints are written beside the next epoch's training.
EPOCHS = 6
LOOP, CAPTURED, USUAL = "hand-written loop", "QuantLab", "training.capture: never"
NUM_PHOTOS = 20 * 256

Run = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is trained. result: its rows are part of; has_peers: others train it too."""

    name: str
    result: str
    experiment: Callable[[], Experiment]
    has_peers: bool = False


def resnet18() -> Experiment:
    """Return the experiment of the fast recipe, some epochs long."""
    overrides = {"experiment.epochs": str(EPOCHS), "data.valid_fraction": "0"}
    return experiment_of("CIFAR10", "ResNet", "resnet18", overrides)


def photos() -> Experiment:
    """Return the experiment of a network for photos, on made-up ones."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    made_up = InMemory(
        inputs=torch.randint(256, (NUM_PHOTOS, 3, 224, 224), dtype=torch.uint8, device=device),
        targets=torch.randint(1000, (NUM_PHOTOS,), device=device),
        classes=[str(number) for number in range(1000)],
    )
    overrides = {
        "experiment.epochs": str(EPOCHS),
        "data.valid_fraction": "0",
        "data.batch_size": "256",
        "training.precision": "bfloat16",
        "training.channels_last": "true",
        "training.compile": "true",
    }
    data = Data(train=made_up, test=made_up, source="synthetic photos")
    return experiment_of("ImageNet", "ResNet", None, overrides, data)


def digits() -> Experiment:
    """Return the experiment of a small network."""
    overrides = {
        "experiment.epochs": str(EPOCHS),
        "data.valid_fraction": "0",
        "data.batch_size": "256",
    }
    return experiment_of("MNIST", "LeNet", "float", overrides)


CASES = (
    Case(name="ResNet-18", result="gpu_training", experiment=resnet18, has_peers=True),
    Case(name="ResNet-18, 224 x 224", result="gpu_capture", experiment=photos),
    Case(name="LeNet", result="gpu_capture", experiment=digits),
)


def hand_written(subject: Experiment, train: InMemory) -> Run:
    """Return a plain loop: shuffle on the GPU, crop, flip, train, sum the loss."""
    optimizer = subject.config.training.optimizer
    fused = optimizer.model_copy(update={"params": {**optimizer.params, "fused": True}})
    assembly = with_training(subject, optimizer=fused).assemble(0)
    batch, num_epochs = subject.config.data.batch_size, subject.config.experiment.epochs
    num_steps = -(-len(train) // batch)
    preprocess = subject.library.preprocess

    def run() -> None:
        for epoch in range(num_epochs):
            train_epoch(epoch)

    def train_epoch(epoch: int) -> None:
        assembly.network.train()
        device = train.inputs.device
        order = torch.randperm(len(train), device=device)
        draws = torch.rand(len(train), preprocess.NUM_DRAWS, device=device)
        total = torch.zeros((), device=device)
        for step in range(num_steps):
            part = slice(step * batch, (step + 1) * batch)
            index = order[part]
            inputs = preprocess.train(train.inputs[index], draws[part])
            inputs = inputs.contiguous(memory_format=torch.channels_last)
            forward: Callable[[Tensor], Tensor] | nn.Module = assembly.network
            if assembly.twin is not None and len(index) == batch:
                forward = assembly.twin  # compiled
            assembly.learning_rate.on_step(epoch + step / num_steps, num_epochs)
            assembly.optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", torch.bfloat16, enabled=device.type == "cuda"):
                loss = assembly.loss(forward(inputs), train.targets[index])
            loss.backward()
            assembly.optimizer.step()
            total += loss.detach()
        float(total)

    return run


def loader_of(subject: Experiment, train: InMemory) -> Loader:
    """Return the loader of the samples to train on."""
    return subject.loader(train, subject.split(0).train, 0, is_training=True)


def our_trainer(subject: Experiment, train: InMemory, folder: Path) -> Trainer:
    """Return our trainer, everything on."""
    return new_trainer(subject, subject.assemble(0), loader_of(subject, train), folder)


def finished(run: Run, device: torch.device) -> Run:
    """Return a run that ends when the device has done all of it."""

    def whole() -> None:
        run()
        synchronize(device)

    return whole


def lightning_run(subject: Experiment, train: InMemory, folder: Path) -> Run:
    """Return a run of Lightning."""
    from benchmarks import lightning_peer  # takes seconds

    lightning_peer.be_quiet()
    loader, num_epochs = loader_of(subject, train), subject.config.experiment.epochs
    device = subject.session.device
    return lightning_peer.run_of(subject.assemble(0), loader, num_epochs, device, folder)


def measure(
    case: Case, folder: Path, *, chip: float, repeats: int = REPEATS, has_lightning: bool = False
) -> list[Row]:
    """Return the rows of a network. chip: its FLOP/s."""
    subject = case.experiment()
    device = subject.session.device
    train = place(subject.data.train, device)
    assert isinstance(train, InMemory)
    trainers = {
        CAPTURED: our_trainer(subject, train, folder / "captured"),
        USUAL: our_trainer(with_training(subject, capture="never"), train, folder / "usual"),
    }
    runs = {name: run_of(trainer) for name, trainer in trainers.items()}
    names = side_names(case, has_lightning=has_lightning)
    for name in names:
        if name == LOOP:
            runs[name] = hand_written(subject, train)
        elif name not in runs:
            runs[name] = lightning_run(subject, train, folder / "lightning")
    sides = {name: finished(runs[name], device) for name in names}
    timings = interleaved(sides, repeats)
    num_images, flops = len(train), flops_of(subject, train)
    rows = []
    here = {**origin(), "command": "python -m benchmarks.gpu_training"}
    for name, timing in timings.items():
        seconds = timing.seconds / subject.config.experiment.epochs
        rate = flops * num_images / seconds
        figures: dict[str, Figure] = {
            "network": case.name,
            "batch": subject.config.data.batch_size,
            "side": name,
            "seconds_per_epoch": seconds,
            "images_per_second": num_images / seconds,
            "times_the_peer": 1.0 / timing.ratio,
            "tflops": rate / 1e12,
            "chip_tflops": chip / 1e12,
            "of_the_chip": rate / chip,
            "captured": trainers[name].captured if name in trainers else "",
        }
        rows.append(Row(figures=figures, peer=names[0], ratio=1.0 / timing.ratio, origin=here))
    return rows


def flops_of(subject: Experiment, train: InMemory) -> float:
    """Return what a step computes for a sample."""
    assembly = subject.assemble(0)
    few = torch.arange(2, device=train.inputs.device)
    inputs = subject.library.preprocess.evaluate(train.inputs[few])
    network = copy.deepcopy(assembly.network)
    return step_flops(network, assembly.loss, inputs, train.targets[few])


def rows_of(
    case: Case, folder: Path | None, chip: float, *, is_asked: bool, has_lightning: bool
) -> list[Row]:
    """Return the rows of a network: those that are kept, else measured if it is asked for."""
    kept = KeptRows(None if folder is None else folder / re.sub("[^A-Za-z0-9]+", "-", case.name))
    sides = side_names(case, has_lightning=has_lightning)
    rows = [row for side in sides if (row := kept.read(side, sides[0])) is not None]
    if len(rows) == len(sides) or not is_asked:
        return rows
    with tempfile.TemporaryDirectory() as runs:
        rows = measure(case, Path(runs), chip=chip, has_lightning=has_lightning)
    for row in rows:
        kept.write(row)
    return rows


def side_names(case: Case, *, has_lightning: bool) -> tuple[str, ...]:
    """Return the sides of a comparison, the peer first."""
    if not case.has_peers:
        return USUAL, CAPTURED
    lightning = (f"Lightning {version('lightning')}",) if has_lightning else ()
    return LOOP, USUAL, CAPTURED, *lightning


def main() -> None:
    """Measure and report."""
    parser = ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, nargs="?", help="keeps the rows")
    names = [case.name for case in CASES]
    parser.add_argument("--only", nargs="+", default=names, metavar="NAME", choices=names)
    parser.add_argument("--no-lightning", action="store_true", help="leave Lightning out")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("gpu_training: no GPU here; nothing measured")
        return
    has_lightning = not given.no_lightning and find_spec("lightning") is not None
    chip = product_rate(torch.device("cuda"))
    print(f"bfloat16 products of 8192 x 8192: {chip / 1e12:.0f} TFLOP/s", flush=True)
    results: dict[str, list[Row]] = {}
    for case in CASES:
        is_asked = case.name in given.only
        rows = rows_of(case, given.folder, chip, is_asked=is_asked, has_lightning=has_lightning)
        results[case.result] = results.get(case.result, []) + rows
        if rows:
            report(case.result, results[case.result])


if __name__ == "__main__":
    main()
