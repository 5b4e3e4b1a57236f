"""Downloads by torchvision, which knows where the official files are."""

import socket
from pathlib import Path

from problems.images.files import last_line
from quantlab.errors import DataError

_PATIENCE_S = 20


def download_by_torchvision(name: str, folder: Path) -> None:
    """Let `torchvision.datasets.<name>` download into `folder`. Raises DataError."""
    # Slow to import, and rarely needed.
    from quantlab.vision import torchvision

    dataset = getattr(torchvision.datasets, name)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(_PATIENCE_S)
    try:
        dataset(str(folder), download=True)
    except (RuntimeError, OSError) as error:
        raise DataError(f"torchvision's download: {last_line(error)}") from error
    finally:
        socket.setdefaulttimeout(patience)
