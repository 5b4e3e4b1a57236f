from quantlab.compression.channels.labels import Channels


def test_channels_that_belong_together_have_one_root() -> None:
    channels = Channels()
    a, b, c = channels.fresh(3), channels.fresh(3), channels.fresh(1)
    channels.unite(a, b)
    channels.unite(c, b[:1])
    roots = [[channels.root(channel) for channel in ids] for ids in (a, b, c)]
    assert roots[0] == roots[1]
    assert len(set(roots[0])) == 3
    assert roots[2] == roots[0][:1]


def test_pins_hold_for_all_that_belong_together() -> None:
    channels = Channels()
    a, b = channels.fresh(2), channels.fresh(2)
    channels.pin(b[1:])
    channels.unite(a, b)
    assert channels.pinned() == {channels.root(a[1])}
