"""The artefacts that programs can be deployed as, by the names of `--to`: a new one is a line."""

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from shutil import which

from quantlab.deploy.artefact import Artefact, EngineSource, Options
from quantlab.deploy.c import artefact as c
from quantlab.deploy.clickhouse import artefact as clickhouse
from quantlab.deploy.onnx import artefact as onnx
from quantlab.deploy.program import artefact as program
from quantlab.errors import UsageError, check_kind, did_you_mean

ARTEFACTS: Mapping[str, Artefact] = {
    "program": program.PROGRAM,
    "onnx-exact": onnx.EXACT,
    "onnx-qdq": onnx.QDQ,
    "c": c.C,
    "clickhouse": clickhouse.CLICKHOUSE,
}


def engines() -> Mapping[str, str]:
    """Return the artefact that each engine runs, by the names of `--backends`."""
    return {engine: name for name, row in ARTEFACTS.items() for engine in row.engines}


def engine_source(name: str) -> EngineSource:
    """Return an engine of the table."""
    return ARTEFACTS[engines()[name]].engines[name]


def options_for(names: Sequence[str], given: Options) -> Mapping[str, Options]:
    """Return the options that each of these artefacts is to have, by its name.

    given: by name. Raises UsageError for an option that none of them has, and for a value that is
    no text.
    """
    check_kind("options", given, Mapping, "values by name")
    for option, value in given.items():
        able = [name for name, row in ARTEFACTS.items() if option in row.options]
        if not able:
            known = [known for row in ARTEFACTS.values() for known in row.options]
            raise UsageError(f"no artefact has the option '{option}'{did_you_mean(option, known)}")
        if not set(able) & set(names):
            raise UsageError(
                f"--{option}: no effect on {', '.join(names)}; {', '.join(able)} allowed"
            )
        check_kind(f"options['{option}']", value, str, "text")
    return {
        name: {one: value for one, value in given.items() if one in ARTEFACTS[name].options}
        for name in names
    }


def packages() -> Sequence[str]:
    """Return all packages that artefacts and engines import beside the library's own."""
    found: list[str] = []
    for row in ARTEFACTS.values():
        found += row.needs
        for source in row.engines.values():
            found += source.needs
    return list(dict.fromkeys(found))


def missing(names: Sequence[str]) -> list[str]:
    """Return the packages among these that are not installed."""
    return [name for name in names if find_spec(name) is None]


def artefacts_named(names: str | Sequence[str] | None) -> list[str]:
    """Return artefacts by name, a list or text with commas; of None all whose packages are
    installed.

    Raises UsageError for a name that does not exist, or whose packages are missing.
    """
    needs = {name: row.needs for name, row in ARTEFACTS.items()}
    return _named("--to", names, needs, {name: row.extra for name, row in ARTEFACTS.items()})


def engines_named(names: str | Sequence[str] | None) -> list[str]:
    """Return engines by name, as `artefacts_named` does; of None those that run by default and
    miss neither packages nor programs."""
    of_artefact = engines()
    needs = {
        name: (*ARTEFACTS[artefact].needs, *ARTEFACTS[artefact].engines[name].needs)
        for name, artefact in of_artefact.items()
    }
    extras = {name: ARTEFACTS[artefact].extra for name, artefact in of_artefact.items()}
    chosen = _named("--backends", names, needs, extras)
    sources = {name: engine_source(name) for name in chosen}
    if names is None:
        return [n for n, one in sources.items() if one.by_default and not absent(one.programs)]
    for name, source in sources.items():
        programs = absent(source.programs)
        if programs:
            install = " ".join(sorted({source.programs[program] for program in programs}))
            raise UsageError(
                f"--backends: {name} needs {', '.join(programs)}; sudo apt-get install {install}"
            )
    return chosen


def absent(programs: Iterable[str]) -> list[str]:
    """Return the programs among these that are not installed."""
    return [program for program in programs if which(program) is None]


def _named(
    option: str,
    names: str | Sequence[str] | None,
    needs: Mapping[str, Sequence[str]],
    extras: Mapping[str, str],
) -> list[str]:
    if names is None:
        return [name for name in needs if not missing(needs[name])]
    check_kind(option, names, Sequence, "names")
    chosen = names.split(",") if isinstance(names, str) else list(names)
    for name in chosen:
        check_kind(option, name, str, "names")
        if name not in needs:
            raise UsageError(
                f"{option}: '{name}' given, {', '.join(needs)} allowed{did_you_mean(name, needs)}"
            )
        absent = missing(needs[name])
        if absent:
            raise UsageError(
                f"{option}: {name} needs {', '.join(absent)}; install quantlab[{extras[name]}]"
            )
    return list(dict.fromkeys(chosen))
