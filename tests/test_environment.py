"""environment.yml, pyproject.toml, constraints.txt and requirements.py say the same."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from cfg import requirements

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
ENVIRONMENT: dict[str, Any] = yaml.safe_load((ROOT / "environment.yml").read_text())
EXTRAS = list(PYPROJECT["project"]["optional-dependencies"])
REQUIREMENTS = [Requirement(text) for text in requirements.packages([*EXTRAS, "build"])]
PINS = {
    canonicalize_name(name): version
    for name, _, version in (
        line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
    )
}
# What a wheel cannot bring: the interpreter, its installer, and programs.
NOT_FROM_PIP = {"python", "pip", "cxx-compiler", "make", "cmake", "ninja", "git"}
MINORS = [f"3.{minor}" for minor in range(8, 20)]


def conda_packages() -> dict[str, str]:
    """Return name and version of what conda itself installs."""
    entries = [e for e in ENVIRONMENT["dependencies"] if isinstance(e, str)]
    return {name: rest.strip() for name, _, rest in (entry.partition(" ") for entry in entries)}


def test_conda_brings_only_what_pip_cannot() -> None:
    assert set(conda_packages()) <= NOT_FROM_PIP


def test_the_rest_comes_from_pyproject() -> None:
    (section,) = [e for e in ENVIRONMENT["dependencies"] if not isinstance(e, str)]
    assert section == {"pip": ["-c constraints.txt", "-e .[all]"]}
    assert ENVIRONMENT["dependencies"][-1] is section


def test_nothing_is_said_twice() -> None:
    names = {canonicalize_name(requirement.name) for requirement in REQUIREMENTS}
    assert not names & set(conda_packages())
    for extra, entries in PYPROJECT["project"]["optional-dependencies"].items():
        named = [canonicalize_name(Requirement(entry).name) for entry in entries]
        assert len(named) == len(set(named)), extra


def test_python_versions_agree() -> None:
    wanted = SpecifierSet(PYPROJECT["project"]["requires-python"])
    allowed = [minor for minor in MINORS if f"{minor}.5" in wanted]
    assert allowed == ["3.11", "3.12"]
    conda = SpecifierSet(conda_packages()["python"])
    assert [minor for minor in MINORS if f"{minor}.5" in conda] == allowed
    oldest, newest = requirements._PYTHON
    checked = [m for m in MINORS if oldest <= tuple(map(int, m.split("."))) < newest]
    assert checked == allowed
    assert PYPROJECT["tool"]["mypy"]["python_version"] == allowed[0]
    assert PYPROJECT["tool"]["ruff"]["target-version"] == f"py{allowed[0].replace('.', '')}"


def test_programs_of_the_system_are_seen_from_a_users_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert requirements._absent({"ldconfig": "libc-bin", "no-such-program": "p"}) == ["p"]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_is_pinned_within_its_range(requirement: Requirement) -> None:
    pin = PINS.get(canonicalize_name(requirement.name))
    assert pin, f"{requirement.name} is not in constraints.txt"
    assert requirement.specifier.contains(pin, prereleases=True)


def test_pins_are_exact_and_sorted_out() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", line) for line in lines)
    assert len(PINS) == len(lines), "a package is pinned twice"


def test_all_means_all_but_the_peers_of_benchmarks() -> None:
    (everything,) = [Requirement(t) for t in PYPROJECT["project"]["optional-dependencies"]["all"]]
    assert everything.name == PYPROJECT["project"]["name"]
    assert everything.extras == set(EXTRAS) - {"all", "bench"}
