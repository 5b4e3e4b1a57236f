"""The mark of tests that run on an emulated processor."""

import pytest

from benchmarks import emulation

needs_emulator = pytest.mark.skipif(not emulation.IS_THERE, reason=emulation.REMEDY)
