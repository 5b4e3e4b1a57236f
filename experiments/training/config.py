"""The sections `experiment`, `network` and `training`."""

from typing import Literal

from pydantic import Field, model_validator

from experiments.configuration.section import ClassSpec, Section


class EarlyStop(Section):
    """Stop when the target has not improved by `min_delta` for `patience` epochs."""

    patience: int = Field(ge=1)
    min_delta: float = Field(default=0.0, ge=0.0)


class ExperimentConfig(Section):
    """What is run.

    max_steps: stop after this many optimizer steps, unless `epochs` end sooner.
    folds: with 2 or more, k-fold cross-validation over the training samples.
    target: the validation metric that decides which checkpoint is best, of those with the most
        tensors quantized.
    deterministic: the same bytes on a GPU too, at a loss of speed (on a CPU they always are).
    threads: CPU threads of each process; by default the cores shared among the processes.
    timeout: seconds for which a process waits for another one, or for a host that is silent, until
        it takes it for lost and ends; `resume` goes on.
    log_every_steps: the period of the loss curve.
    """

    name: str = ""
    seed: int = Field(default=0, ge=0, lt=2**32)
    epochs: int = Field(default=1, ge=1)
    max_steps: int | None = Field(default=None, ge=1)
    folds: int = Field(default=1, ge=1)
    target: str = "top1"
    early_stop: EarlyStop | None = None
    deterministic: bool = False
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    timeout: int = Field(default=300, ge=5, le=10_000_000)
    log_every_steps: int = Field(default=50, ge=1)

    def num_steps(self, steps_per_epoch: int) -> int:
        """Return after how many steps a run ends at the latest."""
        num_steps = self.epochs * steps_per_epoch
        return min(num_steps, self.max_steps or num_steps)


class Pretrained(Section):
    """Weights to start from: a checkpoint file, or a run of the same problem.

    prefixes: load only the entries whose names start with one of these.
    """

    file: str | None = None
    exp_id: int | None = Field(default=None, ge=0)
    fold: int = Field(default=0, ge=0)
    checkpoint: str = "last"
    prefixes: list[str] = Field(default=[])

    @model_validator(mode="after")
    def _one_source(self) -> "Pretrained":
        if (self.file is None) == (self.exp_id is None):
            raise ValueError("give either `file` or `exp_id`")
        return self


class NetworkConfig(ClassSpec):
    """The network: a class of the topology's library."""

    pretrained: Pretrained | None = None


class Ema(Section):
    """An exponential moving average of the weights, used for every evaluation."""

    decay: float = Field(gt=0.0, lt=1.0)


class TrainingConfig(Section):
    """How the network is trained.

    lr_scheduler: one of `experiments.training.lr_schedules`, or of `torch.optim.lr_scheduler`.
    lr_scaling: `linear` multiplies the learning rate by the number of processes.
    clip_norm: the largest norm of the gradient.
    accumulate: batches per optimizer step.
    precision: the arithmetic of the network; float16 and bfloat16 by autocast.
    capture: whether steps are recorded as CUDA graphs and replayed; `auto` where they can be,
        `always` refuses networks and optimizers that never can (docs/gpu.md).
    """

    loss: ClassSpec
    optimizer: ClassSpec
    lr_scheduler: ClassSpec = ClassSpec.model_validate({"class": "Constant"})
    lr_scaling: Literal["none", "linear"] = "none"
    clip_norm: float | None = Field(default=None, gt=0.0)
    accumulate: int = Field(default=1, ge=1)
    ema: Ema | None = None
    precision: Literal["float32", "bfloat16", "float16", "float64"] = "float32"
    channels_last: bool = False
    compile: bool = False
    capture: Literal["auto", "always", "never"] = "auto"
