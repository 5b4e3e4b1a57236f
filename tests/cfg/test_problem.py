"""cfg/problem.sh: the package of a problem, its real folders and the links to them."""

import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cfg.checkout import Checkout, listing, the_line


def folders(checkout: Checkout, name: str) -> tuple[Path, Path, Path]:
    """The package of a problem and its two links."""
    package = checkout.home / "problems" / name
    return package, package / "data", package / "logs"


def test_makes_what_is_documented(checkout: Checkout) -> None:
    for disk in "ab":
        (checkout.disk / disk).mkdir()
    checkout.configure(checkout.disk / "b", checkout.disk / "a")
    checkout.succeed("storage.sh", cwd=checkout.home / "cfg")
    said = checkout.succeed("problem.sh", "XYZ", cwd=checkout.home / "cfg")
    package, data, logs = folders(checkout, "XYZ")
    assert str(data.readlink()) == f"{checkout.disk}/b/QuantLab/problems/XYZ/data"
    assert str(logs.readlink()) == f"{checkout.disk}/a/QuantLab/problems/XYZ/logs"
    assert data.is_dir()
    assert logs.is_dir()
    assert {path.name for path in package.iterdir()} == {"__init__.py", "data", "logs"}
    assert "data.py, meter.py" in said
    assert "CONTRIBUTING.md" in said
    assert f"put the data set into {data}" in said
    (checkout.home / "problems" / "__init__.py").touch()  # as every checkout has
    subprocess.run([sys.executable, "-c", "import problems.XYZ"], cwd=checkout.home, check=True)


def test_makes_the_storage_too(checkout: Checkout) -> None:
    checkout.succeed("problem.sh", "XYZ")
    _, data, _ = folders(checkout, "XYZ")
    assert data.resolve() == checkout.home / "storage" / "QuantLab" / "problems" / "XYZ" / "data"


def test_second_run_changes_nothing(checkout: Checkout) -> None:
    checkout.succeed("problem.sh", "XYZ")
    before = listing(checkout.home.parent)
    assert checkout.succeed("problem.sh", "XYZ") == "nothing to do: problems/XYZ is complete\n"
    assert listing(checkout.home.parent) == before


def test_adds_what_an_existing_problem_lacks(checkout: Checkout) -> None:
    package, data, logs = folders(checkout, "MNIST")
    (package / "LeNet").mkdir(parents=True)
    for name in ("__init__.py", "data.py", "meter.py", "LeNet/network.py"):
        (package / name).write_text(f"# {name}\n")
    before = listing(package, times=False)
    said = checkout.succeed("problem.sh", "MNIST")
    after = listing(package, times=False)
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"data", "logs"}
    assert "next: write" not in said
    (data / "images").touch()
    logs.unlink()
    assert len(checkout.succeed("problem.sh", "MNIST").splitlines()) == 1


def test_real_folder_removed_or_a_link_itself(checkout: Checkout) -> None:
    checkout.configure(checkout.disk, checkout.disk)
    checkout.succeed("problem.sh", "XYZ")
    _, data, _ = folders(checkout, "XYZ")
    real = data.resolve()
    real.rmdir()
    checkout.succeed("problem.sh", "XYZ")
    assert real.is_dir()
    real.rmdir()
    real.symlink_to(checkout.home.parent)
    assert checkout.succeed("problem.sh", "XYZ").startswith("nothing to do")


def test_moved_checkout_works_as_it_is(checkout: Checkout) -> None:
    checkout.succeed("problem.sh", "XYZ")
    moved = Checkout(home=checkout.home.rename(checkout.home.parent / "moved"), disk=checkout.disk)
    assert folders(moved, "XYZ")[1].is_dir()
    assert moved.succeed("problem.sh", "XYZ").startswith("nothing to do")


def test_package_elsewhere(checkout: Checkout) -> None:
    (checkout.disk / "mine").mkdir()
    package, data, _ = folders(checkout, "XYZ")
    package.symlink_to(checkout.disk / "mine")
    checkout.succeed("problem.sh", "XYZ")
    assert data.resolve() == checkout.home / "storage" / "QuantLab" / "problems" / "XYZ" / "data"


def test_help(checkout: Checkout) -> None:
    before = listing(checkout.home.parent)
    said = checkout.succeed("problem.sh", "--help")
    assert "bash cfg/problem.sh NAME" in said
    assert listing(checkout.home.parent) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "the problem's name is missing: bash cfg/problem.sh NAME"),
        (["A", "B"], "'B': unexpected; one problem at a time"),
        (["--force", "A"], "'--force': unknown option; allowed are --relink and --help"),
        (["mnist"], "'mnist' is the problem 'MNIST' but for case; write 'MNIST'"),
        ([""], "'' cannot name a problem"),
        (["2D"], "'2D' cannot name a problem"),
        (["a b"], "'a b' cannot name a problem"),
        (["a\nb"], "'a\\nb' cannot name a problem"),
        (["../XYZ"], "'../XYZ' cannot name a problem"),
        (["class"], "'class' cannot name a problem"),
        (["__pycache__"], "'__pycache__' cannot name a problem"),
        (["_x"], "'_x' cannot name a problem"),
        (["z\u00fcrich"], "'z\u00fcrich' cannot name a problem"),
        (["MNIST/"], "'MNIST/' cannot name a problem"),
    ],
)
def test_arguments_refused(checkout: Checkout, arguments: list[str], words: str) -> None:
    (checkout.home / "problems" / "MNIST").mkdir()
    assert words in checkout.refuse("problem.sh", *arguments)


def test_storage_not_mounted(checkout: Checkout) -> None:
    checkout.configure("storage", checkout.home.parent / "not mounted")
    line = checkout.refuse("problem.sh", "XYZ")
    assert line.startswith("problem.sh: cfg/hard_folders.json: 'logs': ")
    assert "not mounted' is not there; mount or create it" in line


def test_storage_of_another_checkout(checkout: Checkout) -> None:
    checkout.configure(checkout.disk, checkout.disk)
    other = checkout.clone("other")
    checkout.succeed("problem.sh", "XYZ")
    assert f"belongs to the checkout '{checkout.home}'" in other.refuse("problem.sh", "XYZ")


@pytest.mark.parametrize(
    "place", ["problems/XYZ", "problems/XYZ/logs", "real/XYZ", "real/XYZ/data"]
)
def test_file_in_the_way(checkout: Checkout, place: str) -> None:
    path = checkout.home / place.replace("real", "storage/QuantLab/problems")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    line = checkout.refuse("problem.sh", "XYZ")
    assert f"'{path}' is a file where a " in line
    assert "must be; move it away" in line


def test_folder_in_place_of_init(checkout: Checkout) -> None:
    package, _, _ = folders(checkout, "XYZ")
    (package / "__init__.py").mkdir(parents=True)
    assert "__init__.py' is not a file; move it away" in checkout.refuse("problem.sh", "XYZ")


def test_link_that_leads_nowhere_in_the_storage(checkout: Checkout) -> None:
    real = checkout.home / "storage" / "QuantLab" / "problems"
    real.mkdir(parents=True)
    (real / "XYZ").symlink_to("gone")
    assert "is a link that leads nowhere where" in checkout.refuse("problem.sh", "XYZ")


def test_folder_in_place_of_a_link_and_the_way_out(checkout: Checkout) -> None:
    _, data, _ = folders(checkout, "XYZ")
    data.mkdir(parents=True)
    (data / "an image").write_text("pixels")
    (data / ".index").write_text("hidden")
    line = checkout.refuse("problem.sh", "XYZ")
    assert f"'{data}' is a folder where a link must be" in line
    # The command that the line gives does what it says.
    command = line[line.index("mkdir -p") :]
    subprocess.run(["bash", "-c", f"set -e; {command}"], check=True, cwd="/")
    checkout.succeed("problem.sh", "XYZ")
    assert data.is_symlink()
    assert (data / "an image").read_text() == "pixels"
    assert (data / ".index").read_text() == "hidden"


@pytest.mark.parametrize("target", ["old", "data", "gone"])
def test_link_that_points_elsewhere(checkout: Checkout, target: str) -> None:
    package, data, _ = folders(checkout, "XYZ")
    package.mkdir()
    (package / "old").mkdir()
    data.symlink_to(target)  # to a folder, to itself, to nothing
    line = checkout.refuse("problem.sh", "XYZ")
    real = checkout.home / "storage" / "QuantLab" / "problems" / "XYZ" / "data"
    assert f"'{data}' links to '{target}'" in line
    assert f"should link to '{real}'" in line
    said = checkout.succeed("problem.sh", "--relink", "XYZ")
    assert f"stays in {target}" in said
    assert data.resolve() == real
    assert not [path for path in package.iterdir() if path.name.startswith(".")]
    assert checkout.succeed("problem.sh", "--relink", "XYZ").startswith("nothing to do")


def test_edited_hard_folders(checkout: Checkout) -> None:
    checkout.succeed("problem.sh", "XYZ")
    _, data, logs = folders(checkout, "XYZ")
    (data / "image").touch()
    checkout.configure(checkout.disk, "storage")
    assert "correct the file, or turn the link" in checkout.refuse("problem.sh", "XYZ")
    checkout.succeed("problem.sh", "XYZ", "--relink")
    assert data.resolve() == checkout.disk / "QuantLab" / "problems" / "XYZ" / "data"
    assert logs.resolve().is_relative_to(checkout.home)
    old = checkout.home / "storage" / "QuantLab" / "problems" / "XYZ" / "data" / "image"
    assert old.is_file()


def test_failure_half_way_is_undone(checkout: Checkout) -> None:
    # A limit on the size of files lets folders be made, but not the text of __init__.py.
    checkout.succeed("storage.sh")
    before = listing(checkout.home.parent, times=False)
    line = the_line(checkout.run("problem.sh", "XYZ", before="ulimit -f 0"))
    assert "problems/XYZ/__init__.py': File too large; nothing was changed; name another" in line
    assert listing(checkout.home.parent, times=False) == before


def test_failed_relink_is_undone(checkout: Checkout) -> None:
    package, data, _ = folders(checkout, "XYZ")
    package.mkdir()
    (package / "__init__.py").touch()
    data.symlink_to("old")
    checkout.configure("storage", checkout.disk)
    other = checkout.clone("other")
    other.configure(checkout.disk, checkout.disk)
    other.succeed("storage.sh")
    shutil.rmtree(other.home)
    before = listing(checkout.home.parent, times=False)
    # The last step, a new record in a storage whose owner is gone, writes a file.
    line = the_line(checkout.run("problem.sh", "--relink", "XYZ", before="ulimit -f 0"))
    assert "checkout.json" in line
    assert listing(checkout.home.parent, times=False) == before


def test_unwritable_for_everyone(checkout: Checkout) -> None:
    checkout.configure("storage", "/proc")
    before = listing(checkout.home.parent, times=False)
    line = the_line(checkout.run("problem.sh", "XYZ"))
    assert "cannot make '/proc/QuantLab': " in line
    assert "nothing was changed" in line
    assert listing(checkout.home.parent, times=False) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("ro", "Read-only file system; nothing was changed; make it writable, or name another"),
        ("nr_inodes=4", "No space left on device; nothing was changed; make room, or name another"),
    ],
)
def test_mounted_storage(checkout: Checkout, options: str, words: str) -> None:
    unshare = ["unshare", "--user", "--map-root-user", "--mount"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs unshare(1) and the right to make user namespaces")
    checkout.configure("storage", checkout.disk)
    before = listing(checkout.home.parent, times=False)
    result = subprocess.run(
        [
            *unshare,
            "bash",
            "-c",
            f'mount -t tmpfs -o {options} none "$2" || exit 1\n'
            'bash "$1" XYZ; code=$?; ls -A "$2"; exit $code',
            "-",
            checkout.home / "cfg" / "problem.sh",
            checkout.disk,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert words in the_line(result)
    assert listing(checkout.home.parent, times=False) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere; needs a common user")
def test_folder_without_write_permission(checkout: Checkout) -> None:
    checkout.configure("storage", checkout.disk)
    checkout.disk.chmod(0o555)
    before = listing(checkout.home.parent, times=False)
    line = the_line(checkout.run("problem.sh", "XYZ"))
    assert "Permission denied; nothing was changed; make it writable" in line
    assert listing(checkout.home.parent, times=False) == before


def test_runs_at_the_same_time(checkout: Checkout) -> None:
    checkout.configure(checkout.disk, "storage")
    names = ["XYZ", "ABC"] * 3
    with ThreadPoolExecutor(len(names)) as pool:
        said = list(pool.map(lambda name: checkout.succeed("problem.sh", name), names))
    assert sum(line.startswith("nothing to do") for line in said) == 4
    for name in ("XYZ", "ABC"):
        package, data, logs = folders(checkout, name)
        assert data.is_dir()
        assert logs.is_dir()
        assert re.match(r'"""The problem', (package / "__init__.py").read_text())
