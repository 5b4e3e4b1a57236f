"""The table of artefacts: names, packages, files, and what each does with every operation."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from quantlab.deploy.artefact import Artefact, only_path, paths
from quantlab.deploy.clickhouse.artefact import SERVER
from quantlab.deploy.folder import complete, manifest, write_files
from quantlab.deploy.table import (
    ARTEFACTS,
    artefacts_named,
    engine_source,
    engines,
    engines_named,
    packages,
)
from quantlab.deploy.verification import open_engines, verify
from quantlab.errors import UsageError, VerificationError
from quantlab.integer.file import REMEDY
from quantlab.integer.operations import OPERATIONS
from tests.clickhouse_server import HOST, need_server, running_server
from tests.quantlab.deploy.boards import engine
from tests.quantlab.deploy.operation_table import (
    LOWERINGS,
    PAGE,
    lowering_refusal,
    refusal,
    table,
)
from tests.quantlab.integer.programs import Author, inputs

PARTS = {"network": Author(3).program(6)}
SEVERAL = {"trunk": Author(3).program(4), "head": Author(4).program(4)}


@pytest.mark.parametrize("kind", OPERATIONS)
@pytest.mark.parametrize("artefact", ARTEFACTS)
def test_every_operation_is_held_or_refused_by_name(artefact: str, kind: str) -> None:
    said = refusal(artefact, kind)
    assert said is None or kind in said


@pytest.mark.parametrize("kind", OPERATIONS)
@pytest.mark.parametrize("lowering", LOWERINGS)
def test_every_operation_is_lowered_to_clickhouse_or_refused(lowering: str, kind: str) -> None:
    said = lowering_refusal(lowering, kind)
    assert said is None or kind in said


def test_the_page_has_the_table() -> None:
    """`python -m tests.quantlab.deploy.operation_table` writes it."""
    assert table() in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ARTEFACTS)
def test_files_are_the_same_every_time(name: str) -> None:
    for parts in (PARTS, SEVERAL):
        files = ARTEFACTS[name].files(parts, {})
        assert ARTEFACTS[name].files(parts, {}) == files
        assert len(files) >= len(parts)
        assert list(manifest(files)) == list(files)


@pytest.fixture
def clickhouse_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the server that the environment names."""
    need_server()
    with running_server(tmp_path / "server") as server:
        monkeypatch.setenv(SERVER, f"{HOST}:{server.port}")
        yield


@pytest.mark.parametrize("name", [engine(name) for name in engines()])
def test_engines_run_what_lies_in_the_folder(
    name: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if name == "clickhouse-legacy":
        request.getfixturevalue("clickhouse_server")
    artefact = ARTEFACTS[engines()[name]]
    write_files(artefact.files(PARTS, {}), tmp_path)
    running = engine_source(name).open(PARTS, tmp_path)
    (program,) = PARTS.values()
    ran = dict(running.execute(inputs(program, 2, 0)))
    assert set(ran) == {operation.output for operation in program.operations}
    with pytest.raises(UsageError, match="parts: trunk, head given, one allowed"):
        engine_source(name).open(SEVERAL, tmp_path)


@pytest.mark.parametrize("name", ARTEFACTS)
def test_what_is_there_is_checked_and_the_rest_written(name: str, tmp_path: Path) -> None:
    artefact = ARTEFACTS[name]
    complete(artefact, PARTS, tmp_path, {})
    files = artefact.files(PARTS, {})
    assert {path: (tmp_path / path).read_bytes() for path in files} == files
    complete(artefact, PARTS, tmp_path, {})
    other = {"network": Author(5).program(6)}
    with pytest.raises(VerificationError, match=f"{re.escape(REMEDY)}$"):
        complete(artefact, other, tmp_path, {})


@pytest.mark.parametrize("name", ARTEFACTS)
def test_what_was_written_can_be_replaced_and_says_its_options(name: str, tmp_path: Path) -> None:
    artefact = ARTEFACTS[name]
    for parts in (PARTS, SEVERAL):
        folder = tmp_path / str(len(parts))
        files = artefact.files(parts, {})
        assert list(artefact.stale(files, folder)) == []
        write_files(files, folder)
        assert list(artefact.stale(files, folder)) == []
        assert artefact.files(parts, artefact.stored(folder)) == files


def test_without_a_check_of_its_own_a_file_has_to_have_the_bytes(tmp_path: Path) -> None:
    artefact = Artefact(files=lambda parts, options: {"a/b": b"123"})
    complete(artefact, PARTS, tmp_path, {})
    (tmp_path / "a" / "b").write_bytes(b"12345")
    with pytest.raises(VerificationError, match="b: 5 bytes are not the 3 expected; delete"):
        complete(artefact, PARTS, tmp_path, {})


@pytest.mark.parametrize("name", ["../evil", "", "a/b", "/a", "..", " a"])
def test_parts_lie_within_the_folder(name: str, tmp_path: Path) -> None:
    parts = {name: PARTS["network"], "b": PARTS["network"]}
    with pytest.raises(UsageError, match="letters, digits"):
        complete(ARTEFACTS["program"], parts, tmp_path / "in", {})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", [["nunpy"], "nunpy", ["onnx-qdq"]])
def test_engines_are_refused_before_anything_is_written(
    names: str | list[str], tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=f"--backends: '.*' given, {', '.join(engines())} allowed"):
        open_engines(names, PARTS, tmp_path / "new")
    with pytest.raises(UsageError, match="parts: trunk, head given"):
        open_engines(["numpy"], SEVERAL, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    assert list(open_engines("fast,numpy", PARTS, str(tmp_path / "new"))) == ["fast", "numpy"]


def test_paths_of_parts() -> None:
    assert paths(PARTS, "x.c") == {"network": "x.c"}
    assert paths(SEVERAL, "x.c") == {"trunk": "trunk/x.c", "head": "head/x.c"}
    assert only_path(PARTS, "x.c") == "x.c"


def test_names_of_the_command_line() -> None:
    assert artefacts_named(None) == list(ARTEFACTS)
    assert engines_named(None) == ["numpy", "fast", "onnx"]
    assert engines_named("onnx,numpy,onnx") == ["onnx", "numpy"]
    expected = f"--backends: 'nunpy' given, {', '.join(engines())} allowed"
    with pytest.raises(UsageError, match=expected):
        engines_named("nunpy")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "quantlab.deploy.table.find_spec", lambda name: None if name.startswith("onnx") else name
    )
    assert artefacts_named(None) == [n for n, row in ARTEFACTS.items() if "onnx" not in row.needs]
    assert engines_named(None) == ["numpy", "fast"]
    with pytest.raises(UsageError, match=r"--to: onnx-qdq needs onnx; install quantlab\[onnx\]"):
        artefacts_named("onnx-qdq")
    with pytest.raises(UsageError, match="--backends: onnx needs onnx, onnxruntime; install"):
        engines_named("onnx")


def test_packages_are_those_of_artefacts_and_engines() -> None:
    assert packages() == ["onnx", "onnxruntime", "chdb", "clickhouse_driver"]


def test_what_is_damaged_is_told_before_anything_is_written(tmp_path: Path) -> None:
    for name in ("program", "c"):
        write_files(ARTEFACTS[name].files(PARTS, {}), tmp_path)
    damaged = max((tmp_path / "c" / "headers").iterdir())
    damaged.write_text("damaged")
    gone = [tmp_path / "c" / "model.c", *tmp_path.glob("*.*")]
    for path in gone:
        path.unlink()
    with pytest.raises(VerificationError, match=r"7 bytes are not the .* expected; delete the"):
        open_engines(["c"], PARTS, tmp_path)
    assert len(gone) > 1
    assert not any(path.exists() for path in gone)


def test_verifying_nothing_is_refused() -> None:
    (program,) = PARTS.values()
    batch = inputs(program, 2, 0)
    for nothing in ([], [{name: value[:0] for name, value in batch.items()}]):
        with pytest.raises(UsageError, match="verify: no samples"):
            verify(program, nothing)
    with pytest.raises(UsageError, match="verify: no samples or no engines"):
        verify(program, [batch], backends=[])
    with pytest.raises(UsageError, match="inputs: a str given, arrays by name allowed: x"):
        verify(program, batch)  # type: ignore[arg-type]  # one batch in place of several
    assert verify(program, [batch], "numpy")[0].num_samples == 2
