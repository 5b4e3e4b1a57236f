"""The processes of a run as its configuration asks for them."""

from experiments.processes.session import Session, open_session
from experiments.training.config import ExperimentConfig


def session_of(config: ExperimentConfig, dist: str | None) -> Session:
    """Join the run's processes. dist: who launched them, None to find out. Raises UsageError."""
    return open_session(
        dist,
        device=config.device,
        threads=config.threads,
        is_deterministic=config.deterministic,
        timeout=config.timeout,
    )
