"""The sections `teacher` and `criterion`."""

from pydantic import Field, model_validator

from experiments.configuration.section import Section


class TeacherConfig(Section):
    """The network whose scores are learned from: of a run of the same problem, or of a file.

    A run, and a file in a run's folder, tell their topology and configuration. The network of
    another file is the student's, neither pruned, quantized nor generated, unless `topology` or
    `config` says otherwise.

    checkpoint: of the run, by default its best if it has one, else its last; without `exp_id` a
        file.
    config: a name in the topology's `configs`, or a file.
    """

    exp_id: int | None = Field(default=None, ge=0)
    fold: int = Field(default=0, ge=0)
    checkpoint: str | None = None
    topology: str | None = None
    config: str | None = None

    @model_validator(mode="after")
    def _one_source(self) -> "TeacherConfig":
        if self.exp_id is None and self.checkpoint is None:
            raise ValueError("give `exp_id`, or a file as `checkpoint`")
        if self.exp_id is None and self.fold:
            raise ValueError("`fold` has no effect without `exp_id`")
        for name in ("topology", "config"):
            if self.exp_id is not None and getattr(self, name) is not None:
                raise ValueError(f"`{name}` has no effect beside `exp_id`: a run tells its own")
        return self


class CriterionConfig(Section):
    """What training steps minimize, made of `training.loss` and what is added to it; see
    `experiments.training.objective`.

    temperature, alpha: of what is learned from the teacher, and its share.
    ortho_loss_weight: of the orthonormality of generated layers' factors.
    rate_weight: of the bits of an element of quantized weights and factors after entropy coding.
    """

    temperature: float = Field(default=3.0, gt=0.0)
    alpha: float = Field(default=0.9, gt=0.0, le=1.0)
    ortho_loss_weight: float = Field(default=0.0, ge=0.0)
    rate_weight: float = Field(default=0.0, ge=0.0)
