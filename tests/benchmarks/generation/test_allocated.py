"""Settings of allocated bases and bits."""

import yaml

from benchmarks.generation.allocated import settings_of
from quantlab.generation.allocation import Allocation, Dense, Option
from quantlab.generation.spec import MLGSpec


def test_settings_say_what_was_allocated() -> None:
    spec = MLGSpec(base_in=3, base_out=70, basis_bit=4, coeff_in_bit=2, coeff_out_bit=3)
    options = {
        "conv1": Option(form=Dense(num_bits=6), nbytes=10, error=0.1),
        "layers.layer1.0.conv1": Option(form=spec, nbytes=20, error=0.2),
    }
    found = settings_of(Allocation(options=options, max_bytes=40, loss=1.0), "lsq")
    assert found["mlg.quantizer"] == "lsq"
    sizes = {"base_in": 3, "base_out": 70, "basis_bit": 4, "coeff_in_bit": 2, "coeff_out_bit": 3}
    assert yaml.safe_load(found["mlg.rules"]) == [
        {"select": "conv1", "dense": True},
        {"select": "layers.layer1.0.conv1", **sizes},
    ]
    quantized = {
        rule["select"]: rule["algorithm"]["num_bits"]
        for rule in yaml.safe_load(found["quantize.rules"])
    }
    assert quantized == {"last": 8, "conv1": 6}
