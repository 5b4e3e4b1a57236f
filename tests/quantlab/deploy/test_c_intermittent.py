"""C that survives power failures: on power that fails at every load and store."""

import ctypes
import json
import os
import re
import subprocess
from collections.abc import Callable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from quantlab.deploy.artefact import Files
from quantlab.deploy.c.artefact import files as artefact_files
from quantlab.deploy.c.artefact import stored
from quantlab.deploy.c.boards.engine import BoardEngine
from quantlab.deploy.c.boards.measure import measure
from quantlab.deploy.c.boards.selftest import selftest
from quantlab.deploy.c.boards.table import BOARDS
from quantlab.deploy.c.compiler import STANDARD, WARNINGS, compile_model
from quantlab.deploy.c.emit import emit
from quantlab.deploy.c.host import HostEngine
from quantlab.deploy.c.intermittent import simulate as simulate_module
from quantlab.deploy.c.intermittent.check import behind_progress, check_repeatable
from quantlab.deploy.c.intermittent.power import Power
from quantlab.deploy.c.intermittent.schedule import Charges, EveryTick, Schedule, Traces
from quantlab.deploy.c.intermittent.simulate import Simulated, simulate
from quantlab.deploy.c.model import Model, c_model, new_writer, take_inputs
from quantlab.deploy.c.options import ENCODINGS
from quantlab.deploy.c.written import arena_of
from quantlab.deploy.folder import write_files
from quantlab.errors import UsageError
from quantlab.integer.interpreter import run
from quantlab.integer.operations import AdaptiveSumPool, Lookup
from quantlab.integer.program import Program
from quantlab.integer.tensor_type import U8, TensorType
from quantlab.integer.verify import compare
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.power_programs import images
from tests.quantlab.deploy.proof_programs import any_model, ends, network
from tests.quantlab.deploy.sanitizers import check_sanitized, each_compiler, lacks
from tests.quantlab.integer.programs import Author

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")
needs_ticks = pytest.mark.skipif(
    which("cc") is None or lacks(("cc", "-fsanitize=thread", "-c")),
    reason="no C compiler that calls a function before each load and store: cc -fsanitize=thread",
)
FINEST = Power(tile=1)


@cache
def tiny() -> Program:
    return images(4, (2, 3), 5)


def tables() -> Program:
    """Return three tables of bytes, one behind the other."""
    names = ("x", "a", "b", "c")
    table = (np.arange(256) * 7 + 3).astype(np.uint8).astype(np.int16)
    steps = [
        Lookup(inputs=(source,), output=name, layer=name, table=table, kind=U8)
        for source, name in pairwise(names)
    ]
    types = {"x": TensorType((24,), U8)}
    return Program(inputs=types, operations=tuple(steps), outputs=("c",))


@cache
def tiny_model() -> Model:
    return c_model(tiny(), "dense", intermittent=FINEST)


def sample(program: Program) -> Mapping[str, NDArray[Any]]:
    return {name: values[-1] for name, values in ends(program, 0).items()}


def simulated(program: Program, files: Files, folder: Path, schedule: Schedule) -> Simulated:
    write_files(files, folder)
    return simulate(program, folder, sample(program), schedule)


def changed(files: Files, name: str, change: Callable[[str], str]) -> Files:
    """Return files of which one is another, which still compiles."""
    before = files[name].decode()
    after = change(before)
    assert after != before
    return {**files, name: after.encode()}


def is_safe(found: Simulated) -> bool:
    return found.wrong == found.stuck == found.overwritten == 0


@needs_ticks
def test_a_failure_at_every_load_and_store_changes_no_output(tmp_path: Path) -> None:
    found = simulated(tiny(), tiny_model().files, tmp_path, EveryTick())
    assert found.failures == found.inferences == found.ticks
    assert found.ticks > 2000
    assert is_safe(found)


@pytest.mark.parametrize("compiler", ["gcc", "clang"])
def test_the_simulator_has_no_warning(compiler: str) -> None:
    if which(compiler) is None:
        pytest.skip(f"no C compiler: {compiler}")
    source = Path(simulate_module.__file__).parents[1] / "host" / "power.c"
    command = [compiler, *STANDARD, *WARNINGS, "-c", "-o", os.devnull, str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@needs_ticks
def test_random_charges_change_no_output(tmp_path: Path) -> None:
    found = simulated(tiny(), tiny_model().files, tmp_path, Traces(count=30, seed=1))
    assert found.inferences == 30
    assert found.failures > 100
    assert is_safe(found)


@needs_ticks
def test_a_charge_that_is_enough_for_each_tile_is_enough(tmp_path: Path) -> None:
    """The start of a device takes some ticks too."""
    files = tiny_model().files
    longest = simulated(tiny(), files, tmp_path, Charges(ticks=10**6)).longest
    found = simulated(tiny(), files, tmp_path, Charges(ticks=longest + 20))
    assert found.failures >= 2
    assert is_safe(found)
    assert simulated(tiny(), files, tmp_path, Charges(ticks=longest // 2)).stuck > 0


@needs_ticks
def test_a_tile_that_writes_over_its_input_is_found(tmp_path: Path) -> None:
    """Each element over the one that it is made of: an unbroken inference gives the outputs."""
    program = tables()
    files = c_model(program, intermittent=FINEST).files
    pattern = r"ql_tile_walk\(&\w+, (at\(arena, \d+\)), NULL, (at\(arena, \d+\))"
    ((before, behind),) = re.findall(pattern, files["model.c"].decode())
    found = simulated(program, files, tmp_path / "model", EveryTick())
    assert is_safe(found)
    aliased = changed(files, "model.c", lambda text: text.replace(behind, before))
    found = simulated(program, aliased, tmp_path / "aliased", EveryTick())
    assert found.overwritten > 0
    assert found.wrong > 0


@needs_ticks
def test_a_commit_before_its_tile_is_found(tmp_path: Path) -> None:
    def commit_first(text: str) -> str:
        text = text.replace("; next = ql_commit(arena, next)) {", ";) {\n%")
        text = text.replace("%", "        next = ql_commit(arena, next);")
        return text.replace("(uint16_t)(next - ", "(uint16_t)(next - 1 - ")

    files = changed(tiny_model().files, "model.c", commit_first)
    assert simulated(tiny(), files, tmp_path, EveryTick()).wrong > 0


class Loaded:
    """A model as a library, in an arena of its own."""

    def __init__(self, files: Files, folder: Path) -> None:
        write_files(files, folder)
        compile_model(folder, folder / "model.so", ["cc", "-shared", "-fPIC"])
        self._library = ctypes.CDLL(str(folder / "model.so"))
        self._library.ql_reset.restype = None
        size = json.loads(files["model.json"])["arena_bytes"]
        self.arena = np.zeros(size, np.uint8)
        self.x, self.scores = np.full(16, 7, np.uint8), np.zeros(5, np.int8)

    def run(self) -> int:
        return int(
            self._library.ql_run(
                _pointer(self.arena), _pointer(self.x), ctypes.c_size_t(16),
                _pointer(self.scores), ctypes.c_size_t(5),
            )
        )  # fmt: skip

    def is_under_way(self) -> bool:
        return bool(self._library.ql_is_under_way(_pointer(self.arena)))

    def reset(self) -> None:
        self._library.ql_reset(_pointer(self.arena))


def _pointer(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    if which("cc") is None:
        pytest.skip("no C compiler: cc")
    return Loaded(tiny_model().files, tmp_path_factory.mktemp("model"))


def test_an_inference_that_is_done_is_not_under_way(loaded: Loaded) -> None:
    expected = run(tiny(), {"x": loaded.x.reshape(1, 1, 4, 4)})["scores"][0]
    for _ in range(2):
        loaded.scores[:] = 0
        assert not loaded.is_under_way()
        assert loaded.run() == 0
        assert np.array_equal(loaded.scores, expected)
    assert not loaded.is_under_way()


def test_an_inference_goes_on_at_the_tile_that_progress_names(loaded: Loaded) -> None:
    """Nothing before it is done again, and behind the last one nothing is left to do."""
    count = num_tiles(tiny_model())
    loaded.scores[:] = 99
    loaded.arena[:2].view(np.uint16)[0] = count + 1
    assert loaded.is_under_way()
    assert loaded.run() == 0
    assert (loaded.scores == 99).all()
    assert not loaded.is_under_way()
    loaded.arena[:2].view(np.uint16)[0] = count
    assert loaded.run() == 0
    assert (loaded.scores != 99).any()
    assert (loaded.scores == 99).any()


def test_progress_of_no_tile_is_refused_and_nothing_is_written(loaded: Loaded) -> None:
    loaded.arena[:] = 0xFF
    loaded.scores[:] = 99
    assert loaded.run() == 3
    assert (loaded.arena == 0xFF).all()
    assert (loaded.scores == 99).all()
    loaded.reset()
    assert loaded.run() == 0
    assert (loaded.scores != 99).all()


def num_tiles(model: Model) -> int:
    found = re.search(r"#define QL_NUM_TILES (\d+)", model.files["model.h"].decode())
    assert found
    return int(found[1])


def tiles_of(model: Model) -> list[dict[str, Any]]:
    said: list[dict[str, Any]] = json.loads(model.files["model.json"])["tiles"]
    return said


def test_less_energy_makes_more_tiles_of_which_none_takes_more() -> None:
    program = images(16, (8, 16), 10)
    counts = []
    for energy in (400_000, 40_000, 14_000):
        model = c_model(program, intermittent=Power(energy=energy))
        tiles = tiles_of(model)
        assert max(one["instructions"] for one in tiles) <= energy
        assert sum(one["tiles"] for one in tiles) == num_tiles(model)
        counts.append(num_tiles(model))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]


@pytest.mark.parametrize(
    ("tile", "forms"),
    [
        (10**9, set()),
        (200_000, {"product"}),
        (12_000, {"columns"}),
        (3_000, {"product", "columns"}),
    ],
)
def test_work_is_cut_as_far_as_is_wanted(tile: int, forms: set[str]) -> None:
    """First into rows, then into columns of each, then into some outputs."""
    program = images(16, (16, 32), 10)
    model = c_model(program, "dense", intermittent=Power(tile=tile))
    assert set(re.findall(r"ql_tile_(\w+)\(", model.files["model.c"].decode())) == forms
    for form in ("product", "columns"):
        assert (f"runtime/tile_{form}.c" in model.files) == (form in forms)
    if tile > 10_000:  # Otherwise the smallest tile may take more.
        assert max(one["instructions"] for one in tiles_of(model)) <= tile + 300


def average(channels: int) -> Program:
    """Return the sums of all places, as an average of an image has them."""
    pool = AdaptiveSumPool(inputs=("x",), output="y", layer="mean", size=(1, 1))
    types = {"x": TensorType((channels, 8, 8), U8)}
    return Program(inputs=types, operations=(pool,), outputs=("y",))


def test_an_average_is_cut_into_channels() -> None:
    model = c_model(average(32), intermittent=Power(energy=10_000))
    assert b"ql_tile_channels(" in model.files["model.c"]
    assert max(one["instructions"] for one in tiles_of(model)) <= 10_000
    assert b"ql_tile_channels(" not in c_model(average(2), intermittent=True).files["model.c"]
    assert c_model(average(1), intermittent=FINEST).sizes.arena == 4 + 4  # the sum alone


@needs_ticks
@pytest.mark.long
def test_an_average_in_channels_survives(tmp_path: Path) -> None:
    files = c_model(average(7), intermittent=Power(tile=7_000)).files
    assert b"ql_tile_channels(" in files["model.c"]
    found = simulated(average(7), files, tmp_path, EveryTick())
    assert found.failures > 1000
    assert is_safe(found)


def test_a_charge_that_is_not_enough_for_the_smallest_tile_is_refused() -> None:
    program = images(16, (8, 16), 10)
    least = max(one["instructions"] for one in tiles_of(c_model(program, intermittent=FINEST)))
    c_model(program, intermittent=Power(energy=least))
    wanted = rf"energy: {least - 1:,} .* layer 'conv.' takes about {least:,}: no charge"
    with pytest.raises(UsageError, match=wanted):
        c_model(program, intermittent=Power(energy=least - 1))


@pytest.mark.parametrize("name", ["energy", "tile"])
def test_work_that_is_none_is_refused(name: str) -> None:
    for wrong in (0, -5):
        with pytest.raises(UsageError, match=f"{name}: {wrong} given, at least 1"):
            Power(**{name: wrong})
    with pytest.raises(UsageError, match=f"{name}: a str given"):
        Power(**{name: "5"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"energy": "9"}, "--energy: 9 given, no effect without --intermittent"),
        ({"intermittent": "no"}, "--intermittent: 'no' given, yes allowed"),
        ({"intermittent": "yes", "energy": "9.5"}, "--energy: '9.5' given, a whole number of inst"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: Mapping[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}"):
        artefact_files({"network": tiny()}, options)


@pytest.mark.parametrize("energy", [{}, {"energy": "70000"}])
def test_a_folder_says_what_it_was_written_with(energy: Mapping[str, str], tmp_path: Path) -> None:
    given = {"encoding": "dense", "intermittent": "yes", **energy}
    parts = {"network": tiny()}
    files = artefact_files(parts, given)
    write_files(files, tmp_path)
    assert stored(tmp_path) == given
    assert artefact_files(parts, stored(tmp_path)) == files
    power = Power(energy=int(energy["energy"])) if energy else True
    model = c_model(tiny(), "dense", intermittent=power).files
    assert files == {f"c/{name}": data for name, data in model.items()}


def test_a_word_is_no_power() -> None:
    with pytest.raises(UsageError, match="intermittent: a str given, True, False or a Power"):
        c_model(tiny(), intermittent="yes")


def test_more_tiles_than_progress_can_count_are_refused() -> None:
    table = np.arange(256, dtype=np.int16)
    steps = [Lookup(inputs=("x",), output=name, table=table, kind=U8) for name in ("a", "b")]
    program = Program(
        inputs={"x": TensorType((40_000,), U8)}, operations=tuple(steps), outputs=("a", "b")
    )
    with pytest.raises(UsageError, match="80,000 tiles needed, at most 65,534 allowed"):
        c_model(program, intermittent=FINEST)
    assert num_tiles(c_model(program, intermittent=True)) < 1000


def test_schedules_refuse_numbers_that_mean_nothing() -> None:
    for wrong in (
        lambda: EveryTick(step=0),
        lambda: Traces(count=0),
        lambda: Traces(count=1, seed=-1),
        lambda: Charges(ticks=0),
    ):
        with pytest.raises(UsageError, match=r"given, \d to 4294967295 allowed"):
            wrong()


def test_a_model_of_unbroken_power_is_not_simulated(tmp_path: Path) -> None:
    write_files(c_model(tiny()).files, tmp_path)
    with pytest.raises(UsageError, match="survives no power failure; write it intermittent"):
        simulate(tiny(), tmp_path, sample(tiny()), EveryTick())


def test_models_of_unbroken_power_have_nothing_of_it() -> None:
    model = c_model(tiny(), intermittent=False)
    assert model.files == c_model(tiny()).files
    assert not [name for name in model.files if "power" in name or "tile" in name]
    assert "tiles" not in json.loads(model.files["model.json"])
    assert b"ql_resume" not in model.files["model.c"]


@pytest.mark.parametrize("seed", range(8))
def test_a_layer_never_writes_over_what_it_reads(seed: int) -> None:
    """`c_model` refuses it; without the rule some arenas of these programs do."""
    program = network(seed) if seed % 2 else Author(seed).program(8)
    c_model(program, intermittent=FINEST)


def test_a_placement_of_unbroken_power_is_refused() -> None:
    program = Author(1).program(8)
    writer = new_writer(program, "dense", FINEST)
    take_inputs(writer)
    for group in writer.groups:
        emit(group, writer)
    check_repeatable(writer.calls, behind_progress(writer.arena()), writer.sizes)
    with pytest.raises(RuntimeError, match=r"C: ql_\w+ of layer '.*' writes '.*' where '.*' lies"):
        check_repeatable(writer.calls, behind_progress(arena_of(writer)), writer.sizes)


@needs_compiler
@pytest.mark.long
@pytest.mark.parametrize("seed", [4, 7, 9, 12])
def test_every_tensor_is_that_of_the_program(seed: int, tmp_path: Path) -> None:
    program = network(seed) if seed % 2 else Author(seed).program(8)
    write_files(c_model(program, intermittent=FINEST).files, tmp_path)
    batch = ends(program, seed)
    (found,) = compare(program, {"c": HostEngine(program, tmp_path)}, [batch])
    assert found.num_mismatches == 0, found.first
    assert found.num_values > 0


@needs_ticks
@pytest.mark.long
@pytest.mark.parametrize("seed", range(60))
def test_random_programs_survive(seed: int, tmp_path: Path) -> None:
    program = network(seed) if seed % 2 else Author(seed).program(3 + seed % 9)
    encoding = any_model(program, seed)[1] if seed % 2 else "auto"
    files = c_model(program, encoding, intermittent=FINEST).files
    found = simulated(program, files, tmp_path, Traces(count=50, seed=seed))
    assert is_safe(found)
    assert found.failures > 50


@needs_ticks
@pytest.mark.long
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("program", [images(8, (4, 6), 10), average(8)], ids=["image", "mean"])
def test_layers_of_each_encoding_survive(encoding: str, program: Program, tmp_path: Path) -> None:
    files = c_model(program, encoding, intermittent=Power(tile=2000)).files
    found = simulated(program, files, tmp_path, Traces(count=100, seed=2))
    assert found.inferences == 100
    assert is_safe(found)


@pytest.mark.long
@each_compiler
@pytest.mark.parametrize("seed", range(6))
def test_nothing_is_left_undefined(compiler: str, seed: int, tmp_path: Path) -> None:
    program = network(seed) if seed % 2 else Author(seed).program(8)
    files = c_model(program, "csr", intermittent=FINEST).files
    check_sanitized(program, files, tmp_path, compiler)


@pytest.mark.long
@pytest.mark.skipif(which("g++") is None, reason="no C++ compiler: g++")
def test_programs_in_cpp_call_it(tmp_path: Path) -> None:
    write_files(tiny_model().files, tmp_path)
    (tmp_path / "main.cpp").write_text(
        '#include "model.h"\n\n'
        "static uint32_t arena[QL_ARENA_SIZE / 4];\n\n"
        "int main() {\n  ql_reset(arena);\n  return ql_is_under_way(arena);\n}\n"
    )
    compile_model(tmp_path, tmp_path / "model.so", ["cc", "-shared", "-fPIC"])
    command = ["g++", "-Wall", "-Wextra", "-pedantic", "-Werror", f"-I{tmp_path}"]
    files = [str(tmp_path / name) for name in ("main.cpp", "model.so")]
    subprocess.run([*command, *files, "-o", str(tmp_path / "main")], check=True)
    subprocess.run([tmp_path / "main"], check=True)


DIGITS = images(8, (4, 6), 10)
LONG = {
    "every tick": EveryTick(),
    "a thousand traces": Traces(count=1000, seed=1),
}


@needs_ticks
@pytest.mark.long
def test_charges_of_a_thousand_ticks_are_enough(tmp_path: Path) -> None:
    program = images(16, (2, 2), 10)
    files = c_model(program, "dense", intermittent=FINEST).files
    found = simulated(program, files, tmp_path, Charges(ticks=1000))
    assert found.failures > 40
    assert is_safe(found)


@needs_ticks
@pytest.mark.long
def test_a_hundredth_of_the_work_of_digits_is_enough(tmp_path: Path) -> None:
    """Convolutions of 16 and 32 channels on 16x16 pixels."""
    program = images(16, (16, 32), 10)
    files = c_model(program, "dense", intermittent=True).files
    write_files(files, tmp_path)
    whole = simulate(program, tmp_path, sample(program), Charges(ticks=10**8)).ticks
    found = simulate(program, tmp_path, sample(program), Charges(ticks=whole // 100))
    assert found.failures > 90
    assert is_safe(found)


@needs_ticks
@pytest.mark.long
@pytest.mark.parametrize("encoding", ["dense", "csr"])
@pytest.mark.parametrize("schedule", LONG)
def test_digits_survive(schedule: str, encoding: str, tmp_path: Path) -> None:
    files = c_model(DIGITS, encoding, intermittent=True).files
    found = simulated(DIGITS, files, tmp_path, LONG[schedule])
    assert is_safe(found)
    assert found.ticks > 10_000
    assert found.inferences in (1000, found.ticks)


on_emulators = pytest.mark.parametrize("name", [engine(n, ()) for n in ("c-m3", "c-msp430")])


@on_emulators
@pytest.mark.parametrize("encoding", ["dense", "csr", "smallest"])
def test_boards_compute_the_program(name: str, encoding: str, tmp_path: Path) -> None:
    """Every tensor with QL_TRACE, and the outputs without it."""
    board = BOARDS[name]
    write_files(c_model(DIGITS, encoding, intermittent=FINEST).files, tmp_path)
    batch = ends(DIGITS, 3)
    (found,) = compare(DIGITS, {name: BoardEngine(DIGITS, tmp_path, board)}, [batch])
    assert found.num_mismatches == 0, found.first
    assert found.num_values > 0
    selftest(tmp_path, board)
    assert measure(tmp_path, board).instructions > 1000


@pytest.mark.long
@pytest.mark.parametrize("name", [engine("c-m4", ())])
@pytest.mark.parametrize("encoding", ["dense", "csr"])
@pytest.mark.parametrize("power", [Power(tile=10**9), Power(), FINEST])
def test_work_is_about_what_is_measured(
    power: Power, encoding: str, name: str, tmp_path: Path
) -> None:
    model = c_model(images(16, (4, 8), 10), encoding, intermittent=power)
    write_files(model.files, tmp_path)
    said = sum(one["tiles"] * one["instructions"] for one in tiles_of(model))
    assert 0.4 * said < measure(tmp_path, BOARDS[name]).instructions < 1.1 * said
