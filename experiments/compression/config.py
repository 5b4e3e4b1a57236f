"""The configuration of a compression: what is compressed, and to what."""

from pydantic import Field

from experiments.configuration.section import Section
from quantlab.compression import Recipe
from quantlab.compression.budget import Budget


class ParentConfig(Section):
    """Whose network is compressed: a run of the same problem, its fold and its checkpoint."""

    exp_id: int = Field(ge=0)
    fold: int = Field(default=0, ge=0)
    checkpoint: str


class BudgetConfig(Section):
    """Bytes of flash and of RAM, as numbers or as texts such as `20 KB`; None for no limit."""

    flash: int | str | None = None
    ram: int | str | None = None

    def budget(self) -> Budget:
        """Return it as the library takes it. Raises UsageError unless there is one."""
        return Budget(flash=self.flash, ram=self.ram)


class AskedConfig(Section):
    """What is asked for.

    floor: the least accuracy on validation samples, in percent. board: whose compiler makes the
    objects that are measured, of `main.py export --board`, or `host`.
    """

    budget: BudgetConfig = BudgetConfig()
    floor: float | None = None
    board: str = "c-m3"
    recipe: Recipe = Recipe()


class CompressConfig(AskedConfig):
    """All that a compression depends on."""

    parent: ParentConfig
