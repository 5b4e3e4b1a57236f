"""The seconds that each subsystem's tests took, at the end of a run with `--durations`."""

from collections import defaultdict

import pytest

_HAVE_PARTS = ("quantlab", "experiments")


def subsystem(nodeid: str) -> str:
    """Return the folder below tests; of quantlab and experiments, the one below that too."""
    folders = nodeid.partition("::")[0].split("/")[1:-1]
    return "/".join(folders[: 2 if folders[:1] and folders[0] in _HAVE_PARTS else 1]) or "."


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if terminalreporter.config.getoption("durations") is None:
        return
    seconds: dict[str, float] = defaultdict(float)
    tests: dict[str, set[str]] = defaultdict(set)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                seconds[subsystem(report.nodeid)] += report.duration
                tests[subsystem(report.nodeid)].add(report.nodeid)
    terminalreporter.write_sep("=", "seconds and tests by subsystem")
    for name in sorted(seconds, key=lambda name: -seconds[name]):
        terminalreporter.write_line(f"{seconds[name]:7.1f} {len(tests[name]):5d}  {name}")
    terminalreporter.write_line(f"{sum(seconds.values()):7.1f} {sum(map(len, tests.values())):5d}")
