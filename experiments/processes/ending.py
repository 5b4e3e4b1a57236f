"""The end of a process whose libraries may not let it end."""

import os
import threading

from experiments.processes.communicator import RankLostError


def end_within(seconds: float) -> None:
    """End this process after some seconds, unless it has ended by itself, as one that lost another:
    nothing that is registered for the end of the program runs then."""
    timer = threading.Timer(seconds, os._exit, (RankLostError.exit_code,))
    timer.daemon = True
    timer.start()
