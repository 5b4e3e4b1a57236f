"""Networks inside ClickHouse beside the ways that do without: `python -m benchmarks.database`."""
