"""Networks as C on this machine."""

from pathlib import Path
from shutil import which

import pytest
from torch import Tensor, nn

from quantlab.conversion.calibration import quantized_copy
from quantlab.conversion.samples import codes_of, spec_of
from quantlab.deploy.c.artefact import files, host
from quantlab.deploy.folder import write_files
from quantlab.integer.lower import lower
from quantlab.integer.verify import compare

needs_compiler = pytest.mark.skipif(which("cc") is None, reason="no C compiler: cc")


def check_c(network: nn.Module, samples: Tensor, folder: Path) -> None:
    """Compare every tensor of a network's C on this machine with its program."""
    spec = spec_of(samples, is_raw=False)
    quantized = quantized_copy(network, samples, most_bits=8)
    parts = {"network": lower(quantized, spec, samples, memory_bits=8)}
    write_files(files(parts, {}), folder)
    batch = {"input": codes_of(samples[:4], spec)}
    (found,) = compare(parts["network"], {"c": host(parts, folder)}, [batch])
    assert found.num_mismatches == 0
    assert found.num_values > 0
