"""Entries of the section `monitor`."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from quantlab.monitor import STATISTICS, Entry
from quantlab.monitor.sqnr import SqnrConfig

ENTRY: TypeAdapter[Any] = TypeAdapter(Entry)


def test_an_entry_is_what_its_stat_names() -> None:
    found = ENTRY.validate_python({"stat": "sqnr", "select": "conv*", "period": 7})
    assert found == SqnrConfig(select="conv*", period=7)
    assert ENTRY.validate_python(found) == found


@pytest.mark.parametrize("stat", STATISTICS)
def test_round_trip(stat: str) -> None:
    entry = ENTRY.validate_python({"stat": stat, "select": "!first", "period": 3, "start": 2})
    assert type(entry) is STATISTICS[stat]
    dumped = ENTRY.dump_python(entry)
    assert dumped == {"stat": stat, "select": "!first", "period": 3, "start": 2}
    assert ENTRY.validate_python(dumped) == entry
    assert ENTRY.validate_json(ENTRY.dump_json(entry)) == entry


def test_the_schema_has_a_branch_for_each() -> None:
    schema = ENTRY.json_schema()
    assert set(schema["discriminator"]["mapping"]) == set(STATISTICS)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"stat": "sqrn"}, "'sqrn' .* does not match any of the expected tags: 'weight_norm', "),
        ({"select": "*"}, "Unable to extract tag using discriminator 'stat'"),
        ("sqnr", "valid dictionary"),
        ({"stat": "sqnr", "perod": 3}, "perod"),
        ({"stat": "sqnr", "period": 0}, "greater than or equal to 1"),
        ({"stat": "sqnr", "period": "3"}, "valid integer"),
        ({"stat": "sqnr", "start": -1}, "greater than or equal to 0"),
        ({"stat": "sqnr", "select": "a &"}, "select: 'a &'"),
    ],
)
def test_what_is_refused(given: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message.replace("?", r"\?")):
        ENTRY.validate_python(given)
