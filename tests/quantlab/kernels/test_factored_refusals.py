"""What convolutions of real numbers and layer tables refuse, each in one line."""

from typing import Any

import numpy as np
import pytest

from quantlab.backend import LayerTable, PackedConvolution, run_layers
from quantlab.errors import UsageError

WEIGHT = np.ones((4, 3, 3, 3), np.float32)
CODES = np.ones((4, 3, 3, 3), np.int8)
BASIS, COEFF_IN = np.ones((5, 2, 3, 3), np.float32), np.ones((5, 3, 2), np.float32)
COEFF_OUT = np.ones((4, 5), np.float32)
ONE = np.ones(1, np.float32)
PLACES = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}


def dense(**changed: Any) -> PackedConvolution:
    return PackedConvolution.dense(**({"weight": WEIGHT, "bias": None} | PLACES | changed))


def factored(**changed: Any) -> PackedConvolution:
    factors = {"basis": BASIS, "coeff_in": COEFF_IN, "coeff_out": COEFF_OUT, "bias": None}
    return PackedConvolution.factored(**(factors | PLACES | changed))


def table() -> LayerTable:
    made = LayerTable([(6, 5, 3)])
    made.convolution(dense(), 0)
    return made


def images(channels: int, count: int = 2) -> Any:
    return np.zeros((count, 6, 5, channels), np.float32)


def run(**changed: Any) -> None:
    arguments = {"inputs": [images(3)], "values": [1], "outputs": [images(4)]}
    run_layers(table(), **(arguments | changed))


def run_in_place() -> None:
    memory = np.zeros(1000, np.float32)
    x, out = memory[:180].reshape(2, 6, 5, 3), memory[179:419].reshape(2, 6, 5, 4)
    run(inputs=[x], outputs=[out])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: dense(weight=WEIGHT[0]),
            r"weight: expected a C-contiguous aligned 4-D float32 array, got float32 of shape \(3",
        ),
        (
            lambda: dense(weight=WEIGHT[:, :, ::2]),
            "weight: expected a C-contiguous aligned 4-D float32 array, got float32 of shape .* st",
        ),
        (
            lambda: dense(weight=WEIGHT.astype(np.float64)),
            "weight: expected a C-contiguous aligned 4-D float32 array, got float64",
        ),
        (lambda: dense(weight=WEIGHT[:0]), r"weight: 0; allowed is 1\.\."),
        (lambda: dense(weight=(CODES,)), "weight: expected an array, or codes and scales, got tup"),
        (
            lambda: dense(weight=(CODES.astype(np.int32), ONE)),
            "weight: expected a C-contiguous aligned 4-D int8 array, got int32",
        ),
        (
            lambda: dense(weight=(CODES, np.ones(3, np.float32))),
            "weight: 3 scales; allowed is 1 or 4$",
        ),
        (
            lambda: dense(weight=(CODES, 0.5)),
            "weight: expected a C-contiguous aligned 1-D float32 array, got float$",
        ),
        (lambda: dense(bias=np.ones(3, np.float32)), "bias: 3 numbers; allowed is 4, one an outp"),
        (lambda: dense(stride=(0, 1)), r"stride: 0; allowed is 1\.\."),
        (lambda: dense(padding=(0, -1)), r"padding: -1; allowed is 0\.\."),
        (lambda: dense(dilation=(1, 0)), r"dilation: 0; allowed is 1\.\."),
        (lambda: dense(groups=0), r"groups: 0; allowed is 1\.\."),
        (lambda: dense(groups=3), "groups: 3 for 4 outputs; a divisor is allowed$"),
        (
            lambda: factored(coeff_in=np.ones((5, 3, 1), np.float32)),
            r"coeff_in: of shape \[5, 3, 1\]; allowed is \[5, 3, 2\]$",
        ),
        (
            lambda: factored(coeff_out=np.ones((4, 6), np.float32)),
            r"coeff_out: of shape \[4, 6\]; allowed is \[4, 5\]$",
        ),
        (lambda: LayerTable([]), "inputs: none given; allowed are one or more"),
        (lambda: LayerTable([(4, 0, 3)]), r"inputs: 0; allowed is 1\.\."),
        (
            lambda: table().convolution(None, 0),
            "packed: None given; allowed is a PackedConvolution",
        ),
        (lambda: table().convolution(dense(), 2), r"x: 2; allowed is 0\.\.1$"),
        (
            lambda: table().convolution(dense(), 1),
            "x: 6x5x4; allowed are 3 channels, those of the convolution",
        ),
        (
            lambda: table().convolution(dense(), 0, residual=0),
            "residual: 6x5x3; allowed is 6x5x4$",
        ),
        (
            lambda: table().convolution(dense(), 0, low=1, high=0),
            "low: 1.0+; allowed is at most high, 0",
        ),
        (lambda: table().convolution(dense(), 0, low=np.nan), "low: nan; allowed is at most high"),
        (
            lambda: table().convolution(dense(padding=(0, 0), dilation=(3, 1)), 0),
            "x: 6x5x3; allowed are images of 7x3 and more for the kernel$",
        ),
        (
            lambda: table().max_pool(0, (7, 1), (1, 1), (0, 0)),
            "x: 6x5x3; allowed are images of 7x1 and more for the kernel$",
        ),
        (
            lambda: table().max_pool(0, (3, 3), (1, 1), (2, 1)),
            "padding: 2, 1; allowed is at most half of the kernel$",
        ),
        (lambda: table().add(0, 1), "y: 6x5x4; allowed is 6x5x3$"),
        (lambda: table().concatenate([]), "values: none given; allowed are one or more"),
        (lambda: table().concatenate([0, 5]), r"values: 5; allowed is 0\.\.1$"),
        (
            lambda: (made := table()).concatenate([0, made.mean(0)]),
            "values: 1x1x3; allowed are images of 6x5$",
        ),
        (lambda: table().shape(-1), r"value: -1; allowed is 0\.\.1$"),
        (
            lambda: table().convolution(dense(padding=(1 << 24, 1 << 24)), 0),
            r"padding: makes more than 10\^12 numbers; allowed are fewer",
        ),
        (lambda: run(inputs=[]), "inputs: 0 arrays; allowed is 1$"),
        (lambda: run(outputs=[]), "outputs: 0 arrays; allowed is 1$"),
        (
            lambda: run(inputs=[images(4)]),
            r"inputs: expected an array of shape \(2, 6, 5, 3\), got float32 of shape \(2, 6, 5, 4",
        ),
        (
            lambda: run(outputs=[images(4, 3)]),
            r"outputs: expected an array of shape \(2, 6, 5, 4\), got float32 of shape \(3, 6",
        ),
        (
            lambda: run(inputs=[images(6)[..., ::2]]),
            "inputs: expected a C-contiguous aligned 4-D float32 array, got",
        ),
        (lambda: run(values=[0], outputs=[images(3)]), r"values: 0; allowed is 1\.\.1$"),
        (lambda: run(values=[1, 1], outputs=[images(4)] * 2), "values: 1 twice; allowed is once"),
        (run_in_place, "outputs: shares memory with inputs; allowed is its own"),
        (
            lambda: run(precision="float16"),
            "precision: 'float16'; allowed are float32 and bfloat16$",
        ),
        (
            lambda: run(precision="bfloat16", variant="avx2"),
            "variant: 'avx2' does not run here; allowed are scalar",
        ),
        (lambda: run(images_at_once=0), r"images_at_once: 0; allowed is 1\.\."),
        (lambda: run(num_threads=0), r"num_threads: 0; allowed is 1\.\.1024"),
        (lambda: run(variant="avx"), "variant: 'avx' does not run here; allowed are scalar"),
    ],
)  # fmt: skip
def test_wrong_arguments(call: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}") as caught:
        call()
    assert "\n" not in str(caught.value)


def test_an_output_that_cannot_be_written() -> None:
    out = images(4)
    out.flags.writeable = False
    with pytest.raises(UsageError, match=r"^outputs: expected a writeable array, got float32"):
        run(outputs=[out])


def test_no_images() -> None:
    run(inputs=[images(3, 0)], outputs=[images(4, 0)])
