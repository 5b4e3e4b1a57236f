"""What a person is told about an epoch."""

from collections.abc import Mapping

from experiments.progress import duration


def epoch_line(
    epoch: int,
    num_epochs: int,
    values: Mapping[str, float],
    *,
    is_best: bool,
    seconds: float,
    eta: str | None,
) -> str:
    """Return one line; `epoch` counts from 0, `eta` is None at the end."""
    parts = [f"epoch {epoch + 1:>3}/{num_epochs}"]
    for split in ("train", "valid"):
        metrics = [
            f"{name.split('/')[1]} {value:.4g}"
            for name, value in values.items()
            if name.startswith(f"{split}/") and name != "train/lr"
        ]
        if metrics:
            parts.append(f"{split} {' '.join(metrics)}")
    parts.append(f"lr {values['train/lr']:.3g}")
    parts.append(duration(seconds))
    if eta is not None:
        parts.append(f"ETA {eta}")
    return "  ".join(parts) + ("  best" if is_best else "")
