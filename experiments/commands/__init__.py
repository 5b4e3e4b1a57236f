"""The commands of main.py, one a file with a `run(invocation)`; `table` says what they accept."""
