from quantlab.monitor.table import STATISTICS


def test_names_are_those_of_the_configs() -> None:
    assert {name: config().stat for name, config in STATISTICS.items()} == {
        n: n for n in STATISTICS
    }
