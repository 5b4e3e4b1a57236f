"""Run the package `folders` beside this file, for storage.sh and problem.sh."""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from folders.command import main

    sys.exit(main(sys.argv[1:]))
