"""Where programs differ, and what is no difference."""

import pytest

from experiments.runs.code_difference import NoProgramError, first_difference

OLD = b'''"""A module."""
import torch


class Net(torch.nn.Module):
    """A network."""

    width: int = 4

    def forward(self, x):
        """Return it."""
        hidden = self.relu(x, slope=1)
        return hidden + 1
'''


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"import torch\n", b"import torch  # of 2.13\n\n\n# more\n"),
        (b'"""A module."""\n', b""),
        (b'"""A module."""\n', b"# coding: latin-1\n'''\xe9'''\n"),
        (b'"""Return it."""', b'"""Return\n        it, twice."""'),
        (b"(x, slope=1)", b"(\n            x,\n            slope=1,\n        )"),
        (b"hidden + 1", b"(hidden + 0x1)"),
        (b"\n", b"\r\n"),
        (b"    ", b"  "),
    ],
)
def test_the_same_program(old: bytes, new: bytes) -> None:
    assert OLD.replace(old, new) != OLD
    assert first_difference(OLD, OLD.replace(old, new)) is None


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        (b"import torch", b"import torch as t", 2),
        (b"width: int = 4", b"width: int = 5", 8),
        (b"width: int = 4", b"width: float = 4", 8),
        (b"self.relu", b"self.tanh", 12),
        (b"slope=1", b"slope=1.0", 12),
        (b"slope=1", b"slope=True", 12),
        (b"hidden + 1", b"hidden - 1", 13),
        (b"hidden + 1", b"(\n\n            hidden + 2)", 15),
        (b"        hidden = self.relu(x, slope=1)\n", b"", 12),
        (b"        return hidden", b"        hidden *= 2\n        return hidden", 13),
        (b"        return hidden + 1\n", b"", 10),
        (b"import torch\n", b"import torch\nimport math\n", 3),
        (b"(torch.nn.Module)", b"", 5),
    ],
)
def test_the_line_where_another_begins(old: bytes, new: bytes, line: int) -> None:
    assert old in OLD
    assert first_difference(OLD, OLD.replace(old, new)) == line


@pytest.mark.parametrize("broken", [b"def (", b"\0", b"# coding: none\n"])
def test_no_program(broken: bytes) -> None:
    for pair in ((OLD, broken), (broken, OLD)):
        with pytest.raises(NoProgramError):
            first_difference(*pair)
    assert first_difference(broken, broken) is None
