"""Lightning's Trainer on the network, the optimizer and the batches of one of our experiments."""

import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from quantlab.vision import torchvision

# isort: split
import lightning
import torch
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from experiments.data.loader import Loader
from experiments.training.assembly import Assembly

del torchvision  # only to be imported before Lightning, which imports it too

NAME = f"Lightning {lightning.__version__}"


class Module(lightning.LightningModule):
    """A network that trains as its assembly says; logs loss and accuracy of each epoch."""

    def __init__(self, assembly: Assembly, loader: Loader, num_epochs: int) -> None:
        super().__init__()
        self.network, self.loss = assembly.network, assembly.loss
        self._assembly, self._plan, self._num_epochs = assembly, loader.plan, num_epochs

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        inputs, targets = batch
        outputs = self._forward_of(len(targets))(inputs)
        loss: Tensor = self.loss(outputs, targets)
        accuracy = (outputs.detach().argmax(1) == targets).float().mean()
        values = {"train/loss": loss.detach(), "train/top1": accuracy}
        self.log_dict(values, on_step=False, on_epoch=True, batch_size=len(targets))
        return loss

    def on_train_batch_start(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        epoch = self.current_epoch + index / self._plan.num_steps
        self._assembly.learning_rate.on_step(epoch, self._num_epochs)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self._assembly.optimizer

    def _forward_of(self, num_samples: int) -> Callable[[Tensor], Tensor]:
        """Return the compiled network, if there is one; a partial batch would compile anew."""
        twin = self._assembly.twin
        return self.network if twin is None or num_samples < self._plan.batch_size else twin


class Batches:
    """The loader's batches as Lightning takes them."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def __len__(self) -> int:
        return self._loader.plan.num_steps

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in self._loader.epoch(0):
            yield batch.inputs, batch.targets


def new_trainer(**options: Any) -> lightning.Trainer:
    """Return a trainer that shows nothing and tries nothing out first."""
    return lightning.Trainer(
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, **options
    )


def run_of(
    assembly: Assembly, loader: Loader, num_epochs: int, device: torch.device, folder: Path
) -> Callable[[], None]:
    """Return some epochs with logging, metrics and checkpoints: in bfloat16 on a GPU."""
    module = Module(assembly, loader, num_epochs)
    is_gpu = device.type == "cuda"

    def run() -> None:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            trainer = new_trainer(
                max_epochs=num_epochs,
                accelerator="gpu" if is_gpu else "cpu",
                devices=1,
                precision="bf16-mixed" if is_gpu else "32-true",
                logger=CSVLogger(folder),
                default_root_dir=folder,
            )
            trainer.fit(module, Batches(loader))

    return run


def be_quiet() -> None:
    """Have Lightning say errors alone."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
