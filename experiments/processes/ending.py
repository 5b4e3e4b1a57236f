"""The end of a process whose libraries may not let it end."""

import os
import threading


def end_within(seconds: float, code: int) -> None:
    """End this process with an exit code after some seconds, unless it has ended by itself. Nothing
    that is registered for the end of the program runs then."""
    timer = threading.Timer(seconds, os._exit, (code,))
    timer.daemon = True
    timer.start()
