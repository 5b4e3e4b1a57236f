"""Generated weights beside other ways to small files; `benchmarks/generation_accuracy.py` trains
them all."""
