"""`main.py report`: what each layer of a run's integer program costs."""

import json
from dataclasses import asdict

from rich.table import Table

from experiments.command_line import Invocation, Syntax
from experiments.commands import options
from experiments.commands.conduct import load_data
from experiments.commands.restored import restore
from experiments.deployment import program_of
from experiments.progress import console
from experiments.session import local_session
from quantlab.integer.report import LayerCost, Report, report

SYNTAX = Syntax(
    help="what each layer of a run's integer program costs",
    options={
        **options.STORED_NETWORK,
        "json": options.JSON,
    },
    required=("problem", "exp_id"),
)
_RIGHT = ("input bits", "weight bits", "bytes", "MACs", "bit operations", "sum bits", "headroom")
_SUMMED = ("num_bytes", "macs", "bit_operations")


def run(invocation: Invocation) -> int:
    """Lower the network, print a table or JSON."""
    restored = restore(invocation)
    data = load_data(restored.problem, restored.config, local_session())
    found = report(program_of(restored.network, restored.library, data))
    if invocation.has("json"):
        console.print_json(json.dumps({**asdict(found), "num_bytes": found.num_bytes}))
        return 0
    console.print(_table(found, restored.folder.name))
    console.print(
        f"{found.num_bytes:,} bytes in its file: tensors, {found.reading_bytes:,} for what the "
        f"output stands for, {found.header_bytes:,} of header"
    )
    return 0


def _table(found: Report, title: str) -> Table:
    table = Table("layer", "operation", "output", title=title)
    for name in _RIGHT:
        table.add_column(name, justify="right")
    for cost in found.layers:
        shape = "x".join(map(str, cost.shape))
        table.add_row(cost.layer, cost.operation, shape, *_cells(cost))
    table.add_section()
    totals = [sum(getattr(cost, name) for cost in found.layers) for name in _SUMMED]
    table.add_row("all", "", "", "", "", *(f"{total:,}" for total in totals), "", "")
    return table


def _cells(cost: LayerCost) -> list[str]:
    numbers = (cost.weight_bits, *(getattr(cost, name) for name in _SUMMED), cost.accumulator_bits)
    has_sum = cost.accumulator_bits > 0
    cells = [f"{number:,}" if number else "" for number in numbers]
    return [str(cost.input_bits), *cells, str(cost.headroom) if has_sum else ""]
