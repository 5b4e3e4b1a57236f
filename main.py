"""The launcher: reads the command line and hands over to a command.

Exit codes: 0 done, 2 bad usage or configuration, 3 data missing, 4 diverged, 5 verification failed,
130 interrupted with a checkpoint written, 1 a defect (with its traceback).
"""

import errno
import gc
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType


def main(arguments: Sequence[str]) -> int:
    """Run one command; return its exit code."""
    if sys.stdout is None:
        hint = "send it somewhere, to /dev/null for example"
        print(f"main.py: standard output: closed; {hint}", file=sys.stderr)
        return 2
    from experiments.command_line import parse, usage
    from experiments.commands.table import COMMANDS
    from experiments.processes.launcher import launched_local_rank, launched_rank
    from experiments.progress import console
    from quantlab.errors import QuantLabError

    syntaxes = {name: command.syntax for name, command in COMMANDS.items()}
    try:
        if "--help" in arguments or "-h" in arguments:
            named = next((a for a in arguments if a in COMMANDS), None)
            console.print(usage(syntaxes, named), markup=False)
            return 0
        invocation = parse(arguments, syntaxes)
        return COMMANDS[invocation.command].run(invocation)
    except QuantLabError as error:
        if launched_rank() == 0:
            print(f"main.py: {error}", file=sys.stderr)
        elif launched_local_rank() == 0 and not error.is_told:  # of what other hosts do not know
            print(f"main.py: {os.uname().nodename}: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"main.py: {error.filename or 'storage'}: {error.strerror}", file=sys.stderr)
        return 2


def interrupt(number: int, frame: FrameType | None) -> None:
    """Answer SIGINT: raise KeyboardInterrupt, but end at once while modules are imported.

    A module that is imported, torch above all, may catch the exception and go on, or die of it.
    """
    while frame is not None:
        if frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            os._exit(128 + number)
        frame = frame.f_back
    raise KeyboardInterrupt


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # SIGINT is not ignored
        signal.signal(signal.SIGINT, interrupt)
    gc.set_threshold(10_000)  # importing torch makes half a million objects, which all stay
    try:
        code = main(sys.argv[1:])
    except KeyboardInterrupt:  # before the command began
        code = 130
    except ModuleNotFoundError as error:
        if error.name not in ("numpy", "pydantic", "rich", "torch", "yaml"):
            raise
        hint = "run `make setup` once, then use .venv/bin/python"
        print(f"main.py: {sys.executable} has no {error.name}; {hint}", file=sys.stderr)
        code = 2
    if signal.getsignal(signal.SIGINT) is interrupt:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # the command is done: no traceback
    gc.freeze()  # otherwise Python looks for cycles among all of them before it ends
    sys.exit(code)
