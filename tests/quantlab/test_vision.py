"""torchvision is importable beside any build of torch."""

import subprocess
import sys

import torch

from quantlab.vision import torchvision


def test_parts_without_compiled_operators_work() -> None:
    samples = torchvision.datasets.FakeData(size=2, image_size=(3, 8, 8))
    image, _ = samples[0]
    assert torchvision.transforms.functional.pil_to_tensor(image).shape == (3, 8, 8)
    scores = torchvision.models.squeezenet1_1().eval()(torch.zeros(1, 3, 64, 64))
    assert scores.shape == (1, 1000)


def test_import_is_quiet_and_may_be_repeated() -> None:
    code = (
        "from quantlab.vision import torchvision as first; import torchvision, sys;"
        "assert first is torchvision; del sys.modules['quantlab.vision'];"
        "from quantlab.vision import torchvision as second; assert first is second"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
