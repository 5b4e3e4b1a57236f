"""The config section `mlg`: which layers are generated, and how."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from quantlab.errors import UsageError
from quantlab.generation.projection import Method
from quantlab.generation.spec import FactorBits, FactorQuantizer, MLGSpec
from quantlab.graphs.select import select
from quantlab.settings import Settings


def _as_flag(value: Any) -> Any:
    return bool(value) if type(value) is int and value in (0, 1) else value


Flag = Annotated[bool, BeforeValidator(_as_flag)]


class MLGRule(Settings):
    """What is different for some layers.

    select: see `quantlab.graphs.select`. dense: they stay as they are. The others: of `MLGConfig`,
    instead of what it says.
    """

    select: str
    dense: bool = False
    base_in: int | None = Field(default=None, ge=0)
    base_out: int | None = Field(default=None, ge=0)
    basis_bit: FactorBits | None = None
    coeff_in_bit: FactorBits | None = None
    coeff_out_bit: FactorBits | None = None
    quantizer: FactorQuantizer | None = None
    linear_block: int | None = Field(default=None, ge=1)

    @property
    def changes(self) -> dict[str, Any]:
        """What it says of a spec."""
        given = {name: getattr(self, name) for name in MLGSpec.model_fields}
        return {name: value for name, value in given.items() if value is not None}

    @model_validator(mode="after")
    def _check(self) -> Self:
        select(self.select)
        if self.dense and self.changes:
            raise UsageError(f"{next(iter(self.changes))}: has no effect with dense: true")
        if not self.dense and not self.changes:
            raise UsageError("a rule without effect given; dense: true or other sizes allowed")
        return self


class MLGConfig(MLGSpec):
    """The layers that are generated; see `MLGSpec` for the sizes and bits of their factors.

    layers: which, see `quantlab.graphs.select`. As in the published code, those of them stay dense
        of which no level would have fewer terms.
    rules: what is different for some layers, also for such that are not among `layers`; one for
        each layer.
    projection_alg: how the factors are found from a teacher's weights when a run begins, see
        `quantlab.generation.projection`; None: they begin at random.
    kd: whether the network learns from the teacher's scores. 1 and 0 are true and false.
    mode: how layers compute in training and evaluation: `generated`, by their weights; `factored`,
        by their factors one after another; `auto`, in the cheapest of `quantlab.generation.modes`,
        see `quantlab.generation.use_mode`. All give the same but for rounding.
    weight_decay: of the factors, whatever the optimizer's is for the rest.
    """

    layers: str = "type:Conv2d"
    rules: list[MLGRule] = Field(default=[])
    projection_alg: Method | None = None
    kd: Flag = False
    mode: Literal["generated", "factored", "auto"] = "generated"
    weight_decay: float = Field(default=0.0, ge=0.0)

    @model_validator(mode="after")
    def _check_layers(self) -> Self:
        select(self.layers)
        for index, rule in enumerate(self.rules):
            try:
                self.spec_for(rule)
            except UsageError as error:
                raise UsageError(f"rules.{index}.{error}") from error
        return self

    def spec_for(self, rule: MLGRule | None = None) -> MLGSpec:
        """Return the spec of the layers of a rule; None: of the others."""
        given = {name: getattr(self, name) for name in MLGSpec.model_fields}
        return MLGSpec(**{**given, **(rule.changes if rule is not None else {})})
