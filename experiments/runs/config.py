"""The section `checkpoint`."""

from pydantic import Field

from experiments.configuration.section import Section


class CheckpointConfig(Section):
    """When checkpoints are written.

    last.ckpt and best.ckpt are written at the end of an epoch, and of the run.

    every_epochs: keep a checkpoint of every n-th epoch under its own name; 0 keeps none.
    every_steps: write last.ckpt every n optimizer steps too; 0 does not.
    keep_last: how many of the epochs' checkpoints to keep.
    seconds_between: skip the end of an epoch that follows the last writing sooner.
    """

    every_epochs: int = Field(default=0, ge=0)
    every_steps: int = Field(default=0, ge=0)
    keep_last: int = Field(default=3, ge=1)
    seconds_between: float = Field(default=5.0, ge=0.0)
