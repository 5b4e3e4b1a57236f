"""What `main.py verify` found for trained networks: collects the certificates of runs.

    python main.py verify --problem=CIFAR10 --exp_id=31 --tested=all
    python -m benchmarks.verification CIFAR10/exp031 MNIST/exp028

The ratio is the top-1 of the integers / that of the fake-quantized network.
"""

import sys
from typing import Any

from benchmarks.harness import Row, report
from experiments.library import load_problem
from experiments.runs.files import read_json
from quantlab.errors import UsageError

PEER = "the fake-quantized network"


def row(run: str) -> Row:
    """Return the row of a run, `PROBLEM/expNNN`. Raises UsageError if it has no certificate."""
    name, _, folder = run.partition("/")
    path = load_problem(name).logs_folder / folder
    files = sorted(path.glob("fold0/deploy/*/certificate.json"))
    if not files:
        raise UsageError(f"{run}: no certificate in {path}; main.py verify writes one")
    record, certificate = read_json(path / "run.json"), read_json(files[0])
    return Row(figures=_figures(record, certificate), peer=PEER, ratio=_ratio(certificate))


def _figures(record: dict[str, Any], certificate: dict[str, Any]) -> dict[str, str | int | float]:
    engines, found = certificate["engines"], certificate["against_fake_quantized"]
    return {
        "network": f"{record['problem']}/{record['topology']} {record['name']}",
        "engines": ", ".join(engine["engine"] for engine in engines),
        "images": certificate["samples"],
        "values": sum(engine["num_values"] for engine in engines),
        "mismatches": sum(engine["num_mismatches"] for engine in engines),
        "tested": found["num_images"],
        "integer_top1": found["integer_top1"],
        "fake_quantized_top1": found["fake_quantized_top1"],
        "same_class": found["same_class"],
        "program_sha256": certificate["program_sha256"][:16],
    }


def _ratio(certificate: dict[str, Any]) -> float:
    found = certificate["against_fake_quantized"]
    return float(found["integer_top1"] / found["fake_quantized_top1"])


def main() -> None:
    """Collect and report."""
    if len(sys.argv) < 2:
        print("verification: no runs given, such as CIFAR10/exp031; nothing collected")
        return
    report("verification", [row(run) for run in sys.argv[1:]])


if __name__ == "__main__":
    main()
