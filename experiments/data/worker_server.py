"""Imported by the process from which loader workers are forked, and by that one only.

Ctrl-C and the SIGTERM of launchers reach all processes of a group, but the trainer decides when to
stop, and until then it needs the workers and, for what they hand over, the server. Both end with
the trainer. Workers inherit the mask, so that no moment of their start is open.
"""

import signal

import experiments.data.loader  # noqa: F401  what each worker needs, imported once

signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM))
