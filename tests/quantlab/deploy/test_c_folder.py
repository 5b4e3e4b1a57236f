"""The folder of a model: what may go, and what has to stay."""

from pathlib import Path

import pytest

from quantlab.deploy.artefact import Files
from quantlab.deploy.c.folder import leftovers
from quantlab.deploy.c.model import c_model
from quantlab.deploy.folder import write_files
from quantlab.errors import UsageError
from tests.quantlab.integer.programs import Author


def model(seed: int) -> Files:
    return c_model(Author(seed).program(5)).files


def test_nothing_is_left_over_where_nothing_is(tmp_path: Path) -> None:
    assert leftovers(model(1), tmp_path / "not there") == []
    assert leftovers(model(1), tmp_path) == []


def test_what_a_new_model_does_not_replace_is_left_over(tmp_path: Path) -> None:
    old, new = model(1), model(2)
    write_files(old, tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in leftovers(new, tmp_path)}
    assert found == set(old) - set(new) != set()
    assert leftovers(old, tmp_path) == []


def test_models_of_several_parts_are_found_below(tmp_path: Path) -> None:
    for part in ("one", "two"):
        write_files(model(1), tmp_path / part)
    new = {f"one/{name}": data for name, data in model(1).items()}
    found = {path.relative_to(tmp_path).parts[0] for path in leftovers(new, tmp_path)}
    assert found == {"two"}


def test_a_model_in_a_folder_of_the_directory_is_another_one_and_stays(tmp_path: Path) -> None:
    write_files(model(1), tmp_path / "mine")
    with pytest.raises(UsageError, match=r"mine/.*: no file of an earlier export"):
        leftovers(model(2), tmp_path, has_parts=False)
    write_files(model(1), tmp_path / "one" / "deeper")
    with pytest.raises(UsageError, match=r"deeper/.*: no file of an earlier export"):
        leftovers(model(2), tmp_path)


def test_what_a_killed_process_was_writing_is_left_over(tmp_path: Path) -> None:
    write_files(model(1), tmp_path)
    torn = tmp_path / "headers" / ".layer.h.123.part"
    torn.write_text("hal")
    assert leftovers(model(1), tmp_path) == [torn]


def test_an_interrupted_export_can_be_repeated(tmp_path: Path) -> None:
    files = dict(list(model(1).items())[:-3])
    write_files(files, tmp_path)
    assert not (tmp_path / "model.json").exists()
    assert leftovers(model(1), tmp_path) == []


@pytest.mark.parametrize("name", ["main.c", "headers/mine.h", "model.json", "model.c"])
@pytest.mark.parametrize("is_changed", [False, True])
def test_any_other_file_is_told(tmp_path: Path, name: str, *, is_changed: bool) -> None:
    """Beside a model, in the place of one of its files, and where there is no model."""
    if is_changed:
        write_files(model(1), tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(UsageError, match="no file of an earlier export, or changed since"):
        leftovers(model(1), tmp_path)


def test_a_link_is_no_file_of_a_model(tmp_path: Path) -> None:
    write_files(model(1), tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="link: no file of an earlier export"):
        leftovers(model(1), tmp_path)
