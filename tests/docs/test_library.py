"""The HTML reference has a page for every module, and no warning while it is made."""

import pkgutil
from pathlib import Path

import pytest

import quantlab
from docs import library


@pytest.mark.long
def test_every_module_has_a_page(tmp_path: Path) -> None:
    index = library.write(tmp_path)
    assert index.is_file()
    for module in pkgutil.walk_packages(quantlab.__path__, "quantlab."):
        if not module.name.startswith("quantlab._"):
            page = (tmp_path / module.name.replace(".", "/")).with_suffix(".html")
            assert page.is_file(), module.name
