"""`main.py generate`: a run's network in one small file, weights as their codes."""

from collections import Counter
from dataclasses import replace
from typing import cast

from rich.table import Table

from experiments.command_line import Invocation
from experiments.commands.restored import restore
from experiments.deployment.packed import FILE
from experiments.deployment.samples import raw_samples
from experiments.progress import console, show
from experiments.runs.files import write_atomically
from quantlab.generation.storage_report import storage_report
from quantlab.numerics.digest import weights_sha256
from quantlab.packs import make_pack, pack_sizes, to_bytes
from quantlab.packs.lower import FloatName

_NUM_SAMPLES = 2  # whose shape a network is traced with


def run(invocation: Invocation) -> int:
    """Write the pack of a checkpoint, say what each layer takes in it."""
    restored = restore(invocation)
    samples, _ = raw_samples(restored.data().test, restored.library, _NUM_SAMPLES)
    example = restored.library.preprocess.evaluate(samples)
    floats = cast(FloatName, invocation.options.get("floats", "float32"))
    pack = make_pack(restored.network, example, floats=floats)
    pack = replace(pack, made_from=weights_sha256(restored.network.state_dict()))
    data = to_bytes(pack, is_coded=invocation.options.get("entropy", "yes") == "yes")
    path = restored.artefacts / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, data)
    show(_table(data))
    report = storage_report(restored.network).with_file(len(data))
    console.print(
        f"bytes: {report.paper_bytes:,.0f} by the paper's formula, {report.full_bytes:,.0f} with "
        f"buffers and scales, {report.file_bytes:,} in the file"
    )
    console.print(f"pack: {path}", markup=False)
    return 0


def _table(data: bytes) -> Table:
    table = Table("layer", "parts", "bytes")
    layers = Counter[str]()
    parts: dict[str, list[str]] = {}
    for size in pack_sizes(data):
        layers[size.layer] += size.nbytes
        parts.setdefault(size.layer, []).append(size.part)
    for layer, nbytes in layers.items():
        table.add_row(layer, ", ".join(parts[layer]), f"{nbytes:,}")
    table.add_row("the file", "", f"{len(data):,}")
    return table
