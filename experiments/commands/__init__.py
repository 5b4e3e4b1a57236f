"""The commands of main.py, one a file: each has a `SYNTAX` and a `run(invocation)`."""
