from quantlab.sparse.panels import panel_width


def test_panels_fit_into_the_cache() -> None:
    assert panel_width(100, 4096, density=1.0, least=7) == 12


def test_all_planes_are_one_panel_where_they_fit_or_panels_have_few_connections() -> None:
    assert panel_width(10, 4096, density=1.0, least=7) == 10
    assert panel_width(100, 4096, density=0.5, least=7) == 100
    assert panel_width(100, 10**9, density=9.0, least=7) == 1
    assert panel_width(0, 1, density=0.0, least=7) == 1
