"""The int8 reference networks of MLPerf Tiny (MLCommons tiny, Apache-2.0), as files."""

import sys
from pathlib import Path

# As they are called here, and their files.
NETWORKS = {
    "DS-CNN": "kws_ref_model.tflite",
    "ResNet-8": "pretrainedResnet_quant.tflite",
    "MobileNetV1": "vww_96_int8.tflite",
    "autoencoder": "ad01_int8.tflite",
}
_SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "tinyml"


def folder() -> Path:
    """Return the folder with the files: the first argument of the command, by default that beside
    the checkout. Ends the program where they are not there."""
    given = Path(sys.argv[1]) if len(sys.argv) > 1 else _SHARED
    missing = [file for file in NETWORKS.values() if not (given / file).exists()]
    if missing:
        sys.exit(f"{given}: {', '.join(missing)} missing; give the folder that has MLPerf Tiny's")
    return given
