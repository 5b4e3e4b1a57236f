"""cfg/folders and cfg/storage.sh: the configuration, and the replicas of the problems home."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cfg.folders import hard_folders
from cfg.folders.error import StorageError
from tests.cfg.checkout import Checkout, listing

PATHS = st.text(st.characters(categories=["L", "N", "P", "S", "Zs"]), min_size=1).filter(
    lambda path: path.strip() != "" and path.isprintable()
)


@given(data=PATHS, logs=PATHS)
def test_parse_reads_both_spellings(data: str, logs: str) -> None:
    folders = {"data": data, "logs": logs}
    assert hard_folders.parse(json.dumps(folders)) == folders
    assert hard_folders.parse(repr(folders)) == folders


@given(
    st.one_of(
        st.text(),
        st.recursive(
            st.none() | st.integers() | st.text(),
            lambda inner: (
                st.lists(inner) | st.dictionaries(st.sampled_from(["data", "logs", "x"]), inner)
            ),
        ).map(json.dumps),
    )
)
def test_parse_returns_two_paths_or_raises_one_error(text: str) -> None:
    try:
        folders = hard_folders.parse(text)
    except StorageError:
        pass
    else:
        assert set(folders) == {"data", "logs"}
        assert all(isinstance(path, str) and path.strip() for path in folders.values())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: not JSON: Expecting value"),
        ('{"data": "/a",\n "logs": }', "line 2: not JSON"),
        ('["/a", "/b"]', "not an object with the keys 'data' and 'logs'"),
        ('{"data": "/a"}', "'logs' is missing; write"),
        ('{"data": "/a", "log": "/b"}', "'log': unknown key, allowed are 'data' and 'logs'; did"),
        ('{"data": "/a", "logs": "/b", "x": "/c"}', "'x': unknown key"),
        ('{"data": "/a", "logs": "/b", "data": "/c"}', "'data' is given twice"),
        ("{'data': '/a', 'logs': '/b', 'data': '/c'}", "a key is given twice"),
        ('{"data": "/a", "logs": 5}', "'logs': 5 is not the path of a folder in quotes"),
        ('{"data": "/a", "logs": " "}', "'logs': ' ' is not the path"),
        ('{"data": "/a\\nb", "logs": "/b"}', "'data': '/a\\nb' is not the path"),
        ("{'data': '/a', 'logs': open('/b')}", "not JSON"),
        ("{**{'data': '/a', 'logs': '/b'}}", "not JSON"),
        ("{'data': 'C:\\scratch', 'logs': '/b'}", "not JSON"),
        ("{[]: '/a'}", "not JSON"),
        ("[" * 100_000, "not an object"),
        ("9" * 5000, "not an object"),
    ],
)
def test_parse_names_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(StorageError) as caught:
        hard_folders.parse(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("written", "expanded"),
    [
        ("/a b/$DISK/c", "/a b/fast/c"),
        ("${DISK}er", "faster"),
        ("~/x", "/home/ada/x"),
        ("a~", "a~"),
        ("$NESTED", "$DISK"),
    ],
)
def test_expand(written: str, expanded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISK", "fast")
    monkeypatch.setenv("NESTED", "$DISK")
    monkeypatch.setenv("HOME", "/home/ada")
    assert hard_folders.expand("data", written) == Path(expanded)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("$DISK/x", "'data': the variable '$DISK' in '$DISK/x' is not set"),
        ("${EMPTY}/x", "the variable '${EMPTY}' in '${EMPTY}/x' is not set"),
        ("~no-such-user/x", "'data': the user of '~no-such-user/x' is not known"),
    ],
)
def test_expand_refuses(written: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISK", raising=False)
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(StorageError) as caught:
        hard_folders.expand("data", written)
    assert words in str(caught.value)


def test_default_works_after_cloning(checkout: Checkout) -> None:
    shutil.copy(
        Path(__file__).resolve().parents[2] / "cfg" / "hard_folders.json", checkout.home / "cfg"
    )
    assert "made the folder" in checkout.succeed("storage.sh")
    assert (checkout.home / "storage" / "QuantLab" / "problems").is_dir()


@pytest.mark.parametrize("folder", ["cfg", ".", ".."])
def test_documented_sample_from_any_folder(checkout: Checkout, folder: str) -> None:
    (checkout.disk / "a").mkdir()
    (checkout.disk / "b").mkdir()
    checkout.write_config(
        f"{{\n    'data': '{checkout.disk}/b',\n    'logs': '{checkout.disk}/a'\n}}\n"
    )
    cwd = checkout.home / folder
    script = os.path.relpath(checkout.home / "cfg" / "storage.sh", cwd)
    subprocess.run(["bash", script], cwd=cwd, env={**os.environ, "CDPATH": "/"}, check=True)
    for disk in "ab":
        assert (checkout.disk / disk / "QuantLab" / "problems").is_dir()


def test_second_run_changes_nothing(checkout: Checkout) -> None:
    checkout.configure(checkout.disk, "storage")
    checkout.succeed("storage.sh")
    before = listing(checkout.home.parent)
    said = checkout.succeed("storage.sh")
    assert said.startswith("nothing to do: ")
    assert len(said.splitlines()) == 1
    assert listing(checkout.home.parent) == before


def test_one_storage_under_two_names(checkout: Checkout) -> None:
    (checkout.home.parent / "alias").symlink_to(checkout.disk)
    checkout.configure(checkout.disk, checkout.home.parent / "alias")
    checkout.succeed("storage.sh")
    assert (checkout.disk / "QuantLab" / "problems").is_dir()


def test_script_through_a_link(checkout: Checkout, tmp_path: Path) -> None:
    (tmp_path / "storage.sh").symlink_to(checkout.home / "cfg" / "storage.sh")
    checkout.succeed(str(tmp_path / "storage.sh"))
    assert (checkout.home / "storage" / "QuantLab" / "problems").is_dir()


def test_help(checkout: Checkout) -> None:
    before = listing(checkout.home.parent)
    said = checkout.succeed("storage.sh", "--help")
    assert "bash cfg/storage.sh --adopt" in said
    assert "pipefail" not in said
    assert listing(checkout.home.parent) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["MNIST"], "storage.sh: 'MNIST': unexpected; no names are taken"),
        (["--adapt"], "storage.sh: '--adapt': unknown option; allowed are --adopt and --help"),
        (["--relink"], "unknown option"),
    ],
)
def test_arguments_refused(checkout: Checkout, arguments: list[str], words: str) -> None:
    assert words in checkout.refuse("storage.sh", *arguments)


def test_no_python(checkout: Checkout) -> None:
    result = checkout.run("storage.sh", env={"PATH": os.environ["PATH"], "PYTHON": "no-python"})
    assert result.returncode == 2
    assert result.stderr == (
        "storage.sh: 'no-python' is not found; install Python 3, or set PYTHON\n"
    )


def test_config_missing_or_not_text(checkout: Checkout) -> None:
    config = checkout.home / "cfg" / "hard_folders.json"
    config.write_bytes(b'{"data": "\xff"}')
    assert "cfg/hard_folders.json is not UTF-8 text" in storage_error(checkout)
    config.unlink()
    assert "cfg/hard_folders.json is missing; the default is" in storage_error(checkout)


def storage_error(checkout: Checkout) -> str:
    """The error of `read_storages`, which the scripts print as it is."""
    with pytest.raises(StorageError) as caught:
        hard_folders.read_storages(checkout.home)
    return str(caught.value)


def test_config_errors_name_the_file(checkout: Checkout) -> None:
    checkout.write_config('{"data": "storage"}')
    line = checkout.refuse("storage.sh")
    assert line.startswith("storage.sh: cfg/hard_folders.json: 'logs' is missing")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/no such mount", "'/no such mount' is not there; mount or create it, or name another"),
        ("{disk}/file", "big disk/file' is not a folder"),
        ("{disk}/nowhere", "big disk/nowhere' is not a folder"),
        ("{home}", "would mix the storage with the checkout"),
        (".", "would mix the storage with the checkout"),
        ("problems", "would mix the storage with the checkout"),
        ("problems/XYZ", "would mix the storage with the checkout"),
        ("{around}", "would mix the storage with the checkout"),
        ("{other}/storage", "would mix the storage with the checkout"),
    ],
)
def test_storage_refused(checkout: Checkout, path: str, words: str) -> None:
    other = checkout.clone("other")
    (other.home / "storage").mkdir()
    (checkout.disk / "file").touch()
    (checkout.disk / "nowhere").symlink_to("gone")
    checkout.clone("around/QuantLab")
    places = {
        "disk": checkout.disk,
        "home": checkout.home,
        "other": other.home,
        "around": checkout.home.parent / "around",
    }
    checkout.configure("storage", path.format(**places))
    line = checkout.refuse("storage.sh")
    assert line.startswith("storage.sh: cfg/hard_folders.json: 'logs': ")
    assert words in line


@pytest.mark.parametrize("name", ["QuantLab", "QuantLab/problems"])
def test_file_in_the_way(checkout: Checkout, name: str) -> None:
    path = checkout.disk / name
    path.parent.mkdir(exist_ok=True)
    path.touch()
    checkout.configure("storage", checkout.disk)
    assert f"'{path}' is a file where a folder must be" in checkout.refuse("storage.sh")


def test_relative_storage_under_a_file(checkout: Checkout) -> None:
    (checkout.home / "file").touch()
    checkout.configure("storage", "file/below")
    assert "file' is a file where a folder must be" in checkout.refuse("storage.sh")


def test_another_checkout_is_refused_until_it_is_gone(checkout: Checkout) -> None:
    checkout.configure(checkout.disk, checkout.disk)
    other = checkout.clone("other")
    checkout.succeed("storage.sh")
    line = other.refuse("storage.sh")
    assert f"belongs to the checkout '{checkout.home}' of the host '" in line
    assert "bash cfg/storage.sh --adopt" in line
    shutil.rmtree(checkout.home)
    assert "took over" in other.succeed("storage.sh")
    assert other.succeed("storage.sh").startswith("nothing to do")


def test_adopt(checkout: Checkout) -> None:
    checkout.configure(checkout.disk, checkout.disk)
    other = checkout.clone("other")
    checkout.succeed("storage.sh")
    assert len(other.succeed("storage.sh", "--adopt").splitlines()) == 1
    assert f"belongs to the checkout '{other.home}'" in checkout.refuse("storage.sh")


def test_moved_checkout_keeps_its_storage(checkout: Checkout) -> None:
    checkout.configure(checkout.disk, "storage")
    checkout.succeed("storage.sh")
    moved = Checkout(home=checkout.home.rename(checkout.home.parent / "moved"), disk=checkout.disk)
    assert "took over" in moved.succeed("storage.sh")


def test_checkout_on_another_host_is_never_taken_for_gone(checkout: Checkout) -> None:
    checkout.configure(checkout.disk, checkout.disk)
    checkout.succeed("storage.sh")
    record = checkout.disk / "QuantLab" / "checkout.json"
    record.write_text(json.dumps({"checkout": "/home/ada/QuantLab", "host": "no.such.host"}))
    line = checkout.refuse("storage.sh")
    assert "belongs to the checkout '/home/ada/QuantLab' of the host 'no.such.host'" in line
    record.write_text(json.dumps({"checkout": str(checkout.home), "host": "no.such.host"}))
    assert checkout.succeed("storage.sh").startswith("nothing to do")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"checkout": 5, "host": "x"}', '{"host": "x"}'])
def test_damaged_record(checkout: Checkout, text: str) -> None:
    checkout.configure(checkout.disk, checkout.disk)
    (checkout.disk / "QuantLab").mkdir()
    (checkout.disk / "QuantLab" / "checkout.json").write_text(text)
    assert "has a damaged 'checkout.json'" in checkout.refuse("storage.sh")
    checkout.succeed("storage.sh", "--adopt")
    assert checkout.succeed("storage.sh").startswith("nothing to do")
