"""Random networks and random budgets: the budget holds, or one line says why it cannot."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from time import perf_counter
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from quantlab.compression import Budget, Compressed, Data, Recipe, compress
from quantlab.compression.target import command_for
from quantlab.conversion.samples import codes_of
from quantlab.deploy.c.footprint import flash_bytes
from quantlab.deploy.c.host import HostEngine
from quantlab.errors import UsageError
from quantlab.integer.verify import compare

pytestmark = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
NUM_CLASSES, SIDE = 3, 6
ENCODINGS = (
    ("small",), ("smallest", "small", "tiny"), ("tiny",), ("auto",), ("csr", "dense"), ("rice",),
)  # fmt: skip
BITS = ((8,), (8, 4), (4,), (8, 4, 2), (2,))


class Residual(nn.Module):
    """A sum of its input and two layers, the first of which may be depthwise."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.second = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(torch.relu(self.norm(self.first(x)))))


def random_network(draw: random.Random) -> tuple[nn.Module, tuple[int, ...]]:
    """Return a network, some of whose weights and filters may be zero, and the shape of a
    sample."""
    kind = draw.choice(["rows", "signals", "images", "residual", "depthwise"])
    layers: list[nn.Module] = []
    channels = draw.randint(1, 4)
    if kind == "rows":
        shape: tuple[int, ...] = (16 * channels,)
        size = 16 * channels
    elif kind == "signals":
        shape, width = (channels, 12), draw.choice([4, 8, 12])
        layers += [nn.Conv1d(channels, width, 3, padding=1), nn.BatchNorm1d(width), nn.ReLU()]
        size = 12 * width
    else:
        shape, width = (channels, SIDE, SIDE), draw.choice([4, 8, 12])
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
        if kind != "images":
            layers.append(Residual(width, width if kind == "depthwise" else 1))
        layers.append(draw.choice([nn.MaxPool2d, nn.AvgPool2d])(2))
        size = width * (SIDE // 2) ** 2
    layers.append(nn.Flatten())
    if draw.random() < 0.7:
        hidden = draw.randint(4, 40)
        layers += [nn.Linear(size, hidden), draw.choice([nn.ReLU, nn.Hardswish, nn.ReLU6])()]
        size = hidden
    network = nn.Sequential(*layers, nn.Linear(size, NUM_CLASSES, bias=draw.random() < 0.7))
    for parameter in network.parameters():
        if parameter.ndim > 1 and draw.random() < 0.3:
            parameter.data[torch.rand(parameter.shape) < draw.choice([0.5, 0.95])] = 0
            parameter.data[: len(parameter) // 2] = 0
    return network, shape


def random_data(shape: tuple[int, ...]) -> Data:
    inputs, classes = torch.randn(64, *shape), torch.arange(64) % NUM_CLASSES
    batches = list(zip(inputs.split(16), classes.split(16), strict=True))
    return Data(train=batches[:3], valid=batches[3:])


def check(made: Compressed, folder: Path, board: str, samples: Tensor) -> None:
    """Check bytes, rows and every tensor of what was written."""
    report = made.report
    assert flash_bytes(folder / "c", command_for(board)) == report.flash
    assert report.flash_budget is None or report.flash <= report.flash_budget
    assert report.ram_budget is None or report.ram <= report.ram_budget
    assert sum(row.total for row in report.footprint.rows) == report.flash
    batch = {"input": codes_of(samples, made.spec)}
    engine = HostEngine(made.program, folder / "c")
    (found,) = compare(made.program, {"c": engine}, [batch])
    assert found.num_mismatches == 0
    assert found.num_values > 0


def compressed_or_refused(*given: Any, **named: Any) -> Compressed | UsageError:
    try:
        return compress(*given, **named)
    except UsageError as error:
        return error


def attack(seed: int, folder: Path, board: str) -> bool:
    """Compress a network of a seed twice, without a limit that binds and with one; return whether
    the second budget could be met."""
    draw = random.Random(seed)
    torch.manual_seed(seed)
    network, shape = random_network(draw)
    data = random_data(shape)
    given: Mapping[str, Any] = {
        "board": board,
        "recipe": Recipe(
            epochs=3,
            calibration=32,
            encodings=draw.choice(ENCODINGS),
            weight_bits=draw.choice(BITS),
            method=draw.choice(["sensitivity", "sensitivity", "largest_first"]),
            learning_rate=draw.choice([1e-3, 3e-2]),
            seed=seed,
        ),
    }
    inputs = next(iter(data.train))[0][:3]
    free = compress(network, data, budget=Budget(ram=1_000_000), folder=folder / "free", **given)
    check(free, folder / "free", board, inputs)
    constants = sum(row.constants for row in free.report.footprint.rows)
    flash = free.report.flash - int(draw.uniform(0.0, 0.8) * constants)
    ram = draw.choice([None, free.report.ram, draw.randint(50, 1_500)])
    made = compressed_or_refused(
        network, data, budget=Budget(flash=flash, ram=ram), folder=folder / "made", **given
    )
    if isinstance(made, UsageError):
        assert str(made).startswith(("budget.flash: ", "budget.ram: "))
        assert "\n" not in str(made)
        assert not (folder / "made" / "c").exists()
        return False
    check(made, folder / "made", board, inputs)
    return True


def test_a_random_network_fits_a_random_budget(tmp_path: Path) -> None:
    assert attack(90, tmp_path, "host")


@pytest.mark.long
@pytest.mark.parametrize("board", ["host", "c-m3"])
def test_random_networks_fit_random_budgets(tmp_path: Path, board: str) -> None:
    if board != "host" and which("arm-none-eabi-gcc") is None:
        pytest.skip("no compiler for c-m3: arm-none-eabi-gcc")
    met = [attack(seed, tmp_path / str(seed), board) for seed in range(20)]
    assert sum(met) >= 5


PROGRAM = """
import sys
from pathlib import Path

from tests.quantlab.compression.test_compress import compressed

made = compressed(Path(sys.argv[1]))
"""


@pytest.mark.long
def test_a_compression_that_is_killed_at_any_time_ends_with_the_same_bytes(tmp_path: Path) -> None:
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", PROGRAM]
    environment = {**os.environ, "PYTHONPATH": str(root)}

    def start(folder: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen([*command, str(folder)], cwd=root, env=environment)

    began = perf_counter()
    assert start(tmp_path / "whole").wait() == 0
    seconds = perf_counter() - began
    draw, kills = random.Random(0), 0
    for _ in range(60):
        process = start(tmp_path / "killed")
        try:
            code = process.wait(timeout=seconds * draw.uniform(0.4, 0.9))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert code == 0
        break
    assert code == 0
    assert kills > 0
    for path in sorted((tmp_path / "whole" / "c").rglob("*")):
        if path.is_file():
            other = tmp_path / "killed" / path.relative_to(tmp_path / "whole")
            assert other.read_bytes() == path.read_bytes(), path


def test_a_damaged_state_is_one_line(tmp_path: Path) -> None:
    network, data = nn.Sequential(nn.Linear(16, NUM_CLASSES)), random_data((16,))
    given: Mapping[str, Any] = {"budget": Budget(ram=1_000), "board": "host", "folder": tmp_path}
    recipe = Recipe(epochs=3, calibration=32, encodings=("small",))
    compress(network, data, recipe=recipe, **given)
    state = tmp_path / "state" / "ramp.state"
    whole = state.read_bytes()
    for damaged in (whole[:-1], whole[:10], b"", whole[:-1] + bytes([whole[-1] ^ 1])):
        state.write_bytes(damaged)
        with pytest.raises(UsageError, match=r"ramp.state: damaged; delete the folder"):
            compress(network, data, recipe=recipe, **given)
        assert state.read_bytes() == damaged
    state.write_bytes(whole)
    for text in ("", "{", "[]", "{}"):
        (tmp_path / "state" / "compression.json").write_text(text)
        with pytest.raises(UsageError, match="a compression with") as error:
            compress(network, data, recipe=recipe, **given)
        assert "\n" not in str(error.value)
