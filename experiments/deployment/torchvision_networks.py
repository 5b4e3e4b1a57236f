"""torchvision's networks as they are: random weights, calibrated to 8 bits on photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor, nn

from quantlab.algorithms import QuantizeConfig, quantize
from quantlab.algorithms.after_training import calibrate
from quantlab.errors import DataError, UsageError, did_you_mean
from quantlab.integer.lower import InputSpec, Limits, lower
from quantlab.integer.program import Program
from quantlab.pixels import check_8_bits

SIZE, _RESIZED = 224, 256
SUFFIXES = (".jpg", ".jpeg", ".png")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SPEC = InputSpec(
    shape=(3, SIZE, SIZE),
    scale=tuple(1 / (255 * value) for value in _STD),
    zero_point=tuple(round(255 * value) for value in _MEAN),
)
_CALIBRATION_SIZE = 16
# Without heads that only training has.
_SETTINGS = {"googlenet": {"aux_logits": False, "init_weights": True}}
_SETTINGS["inception_v3"] = _SETTINGS["googlenet"]


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """A network and its program. photos: uint8 `[N, 3, 224, 224]`, those to verify on."""

    network: nn.Module
    program: Program
    photos: Tensor


def calibrated(name: str, folder: Path, count: int, limits: Limits) -> Calibrated:
    """Return a network of torchvision's, lowered. count: how many photos to verify on; those to
    calibrate on come after them.

    Raises UsageError for an unknown name and for what cannot be lowered, DataError for photos.
    """
    from quantlab.vision import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        hint = did_you_mean(name, known)
        raise UsageError(f"--torchvision={name}: torchvision has no network of this name{hint}")
    photos = _read(folder, count + _CALIBRATION_SIZE)
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None, **_SETTINGS.get(name, {})).eval()
    algorithm = {"kind": "ste", "num_bits": 8}
    rules = [
        {"select": "*", "on": "weight", "algorithm": algorithm},
        {"select": "!first", "on": "input", "algorithm": algorithm},
    ]
    quantize(network, QuantizeConfig.model_validate({"rules": rules}).rules)
    samples = real(photos[-_CALIBRATION_SIZE:])
    calibrate(network, [samples])
    program = lower(network, SPEC, samples, **limits.as_given())
    return Calibrated(network=network, program=program, photos=photos[:count])


def real(photos: Tensor) -> Tensor:
    """Return photos as the networks take them."""
    zero_point = torch.tensor(SPEC.zero_point).view(-1, 1, 1)
    return (photos.float() - zero_point) * torch.tensor(SPEC.scale).view(-1, 1, 1)


def _read(folder: Path, count: int) -> Tensor:
    """Return photos, the shorter side resized to 256, their middle of 224 x 224."""
    files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES)
    if len(files) < 2:
        kinds = ", ".join(SUFFIXES)
        raise DataError(f"--images={folder}: {len(files)} photos ({kinds}) there, 2 needed")
    return torch.stack([_photo(file) for file in _spread(files, count)])


def _spread(files: Sequence[Path], count: int) -> Sequence[Path]:
    """Return so many files from all over the folder, since neighbours are often of one class."""
    count = min(count, len(files))
    return [files[i * len(files) // count] for i in range(count)]


def _photo(file: Path) -> Tensor:
    try:
        with Image.open(file) as image:
            mode, photo = image.mode, image.convert("RGB")
    except (UnidentifiedImageError, OSError) as error:
        raise DataError(f"{file}: no image that can be read") from error
    check_8_bits(mode, file)
    share = _RESIZED / min(photo.size)
    width, height = (max(SIZE, round(side * share)) for side in photo.size)
    photo = photo.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    pixels = np.array(photo.crop((left, top, left + SIZE, top + SIZE)))
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
