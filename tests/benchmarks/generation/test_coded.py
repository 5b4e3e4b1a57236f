"""Bytes of entropy-coded weights."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.generation.coded import coded_bytes, codes_of, nncodec_bytes
from benchmarks.generation.rivals.stored import file_bytes, float_bytes
from tests.benchmarks.generation.test_rated import new_network


def test_coded_bytes_are_those_of_the_codes() -> None:
    network = new_network("per_axis:0")
    layers = list(codes_of(network))
    assert [codes.shape for codes, _ in layers] == [(6, 2, 3, 3), (4, 96)]
    assert {bits for _, bits in layers} == {3}
    assert all(0 < np.abs(codes).max() <= 3 for codes, _ in layers)
    found = coded_bytes(network)
    assert float_bytes(network) + 50 < found < file_bytes(network, 8)


def test_an_environment_without_nncodec_is_told(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho no such module >&2\nexit 3\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match="nncodec: no such module"):
        nncodec_bytes(new_network(), python)
