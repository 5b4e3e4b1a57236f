"""What a sample costs that leaves at an exit: all that was computed until then."""

from itertools import accumulate

from quantlab.errors import check_kind
from quantlab.exits.program import ExitProgram
from quantlab.integer.report import report


def exit_macs(exits: ExitProgram) -> list[int]:
    """Return the multiplications and additions of one sample up to each exit, the heads passed on
    the way among them."""
    check_kind("exits", exits, ExitProgram, "an ExitProgram")
    macs = {cost.output: cost.macs for cost in report(exits.program).layers}
    own = [sum(macs[o.output] for o in (*segment, *head)) for segment, head in exits.parts]
    return list(accumulate(own))
