"""The section `data`."""

from typing import Annotated, Literal

from pydantic import Field

from experiments.configuration.section import Section
from experiments.protocols import Source


class DataConfig(Section):
    """Which samples, and how they are read.

    source: `auto` fetches what the data folder lacks, `folder` does not, `synthetic` makes it up.
    limit: use this many of the training samples, drawn with `split_seed`.
    limit_valid: of those that validate, use this many. limit_test: use this many of the test
        samples. Both are drawn with `split_seed` too.
    batch_size: samples per process and step.
    eval_batch_size: samples per process and step of an evaluation.
    drop_last: leave out the last step of an epoch if it has fewer samples than the others.
    workers: loader processes per process; `auto` is 0 for data in memory, else as cores allow.
    valid_fraction: this share of the training samples, drawn with `split_seed`, is for validation.
    """

    source: Source = "auto"
    limit: int | None = Field(default=None, ge=1)
    limit_valid: int | None = Field(default=None, ge=1)
    limit_test: int | None = Field(default=None, ge=1)
    batch_size: int = Field(default=64, ge=1)
    eval_batch_size: int = Field(default=256, ge=1)
    drop_last: bool = False
    workers: Annotated[int, Field(ge=0)] | Literal["auto"] = "auto"
    augment: bool = True
    valid_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    split_seed: int = Field(default=0, ge=0, lt=2**32)
