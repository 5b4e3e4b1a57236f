"""The Makefile has the rules that it writes, and no others."""

import os
import subprocess

from tests.docs.markdown import CHECKOUT


def test_sources_beside_folders_of_their_name_are_not_built() -> None:
    """make's own rules would: folders of quantlab are what the extension depends on."""
    # What a make around these tests hands on.
    inherited = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL"}
    done = subprocess.run(
        ["make", "--dry-run", "--print-data-base", "check"],
        cwd=CHECKOUT,
        env={name: value for name, value in os.environ.items() if name not in inherited},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = done.stdout.splitlines()
    assert any("lint-imports" in line for line in lines)
    assert "%: %.c" not in lines
