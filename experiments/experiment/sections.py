"""The names of a configuration's sections, as `Config` has them; reading them imports nothing."""

SECTIONS = (
    "experiment",
    "data",
    "network",
    "training",
    "teacher",
    "criterion",
    "mlg",
    "prune",
    "quantize",
    "monitor",
    "checkpoint",
)
