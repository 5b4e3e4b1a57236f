import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from quantlab.graphs.source import first_line, user_line, user_module


class Fails(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.add(x, "not a tensor")  # type: ignore[arg-type]


def failure(run: object) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - any
        run()  # type: ignore[operator]
    return caught.value


def test_the_users_line_and_module() -> None:
    network = nn.Sequential(nn.Identity(), Fails())
    error = failure(lambda: network(torch.zeros(1)))
    line = user_line(error)
    assert line is not None
    file, number, code = line.split(":", 2)
    assert (Path.cwd() / file).samefile(__file__)
    assert "torch.add" in Path(__file__).read_text().splitlines()[int(number) - 1]
    assert code.strip().startswith("'return torch.add(x,")
    assert user_module(error, network) == "1"
    assert user_module(error, nn.Sequential()) == "Sequential"


def test_the_line_of_a_cause() -> None:
    cause = failure(lambda: Fails()(torch.zeros(1)))
    wrapped = ValueError("never raised")
    assert user_line(wrapped) is None
    wrapped.__cause__ = cause
    assert user_line(wrapped) == user_line(cause) is not None


@pytest.mark.parametrize(
    ("message", "short"),
    [
        ("one. two", "one"),
        ("\n  one.\ntwo", "one"),
        ("", "ValueError"),
        ("x" * 200, "x" * 107 + "..."),
        ("of size [1, 2.5]: wrong", "of size [1, 2.5]: wrong"),
    ],
)
def test_first_lines(message: str, short: str) -> None:
    assert first_line(ValueError(message)) == short


def test_other_libraries_are_users_too() -> None:
    line = user_line(failure(lambda: json.loads("{")))
    assert line is not None
    assert "json" in line
