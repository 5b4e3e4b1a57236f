"""The names of a configuration's sections, as `Config` has them; reading them imports nothing."""

SECTIONS = (
    "experiment",
    "data",
    "network",
    "training",
    "prune",
    "quantize",
    "monitor",
    "checkpoint",
)
