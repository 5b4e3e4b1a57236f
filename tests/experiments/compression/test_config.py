"""The configuration of a compression, from the command line to its file and back."""

import pytest

from experiments.compression.config import AskedConfig, CompressConfig
from experiments.configuration.documents import Document, dump, parse_document
from experiments.configuration.overrides import apply_overrides, parse_override
from experiments.configuration.section import validate
from quantlab.compression.budget import Budget
from quantlab.errors import UsageError

PARENT = {"exp_id": 3, "fold": 1, "checkpoint": "best"}


def given(*overrides: str) -> Document:
    parsed = [parse_override(*override.split("=", 1)) for override in overrides]
    return apply_overrides(Document(values={}), parsed)


@pytest.mark.parametrize(
    "overrides",
    [
        ("budget.flash=20000",),
        ("budget.flash=20 KB", "budget.ram=4_000", "floor=98", "board=host"),
        ("budget.ram=9", "recipe.weight_bits=[4, 2]", "recipe.learning_rate=1e-4"),
        ("budget.ram=9", "recipe.optimizer=sgd", "recipe.method=largest_first", "recipe.epochs=3"),
    ],
)
def test_what_is_stored_reads_back_equal(overrides: tuple[str, ...]) -> None:
    values = {"parent": PARENT, **given(*overrides).values}
    config = validate(CompressConfig, Document(values=values))
    text = dump(config.model_dump(mode="json"))
    assert validate(CompressConfig, parse_document(text, name="config.yaml")) == config
    assert config.parent.fold == 1


def test_bytes() -> None:
    config = validate(AskedConfig, given("budget.flash=20 KB", "budget.ram=2KiB"))
    assert config.budget.budget() == Budget(flash=20_000, ram=2048)
    with pytest.raises(UsageError, match=r"^budget: neither flash nor ram given"):
        validate(AskedConfig, given("floor=3")).budget.budget()


def test_a_parent_is_named_by_options_alone() -> None:
    with pytest.raises(UsageError, match=r"^parent: unknown key"):
        validate(AskedConfig, given("budget.ram=9", "parent.fold=1"))
