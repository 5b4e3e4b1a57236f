"""Pictures of rows: well-formed, points where their values are."""

from xml.etree import ElementTree

import pytest

from benchmarks.generation.picture import Point, picture

NAMESPACE = "{http://www.w3.org/2000/svg}"
POINTS = [
    Point(name="2-44 & more", kind="generated", num_bytes=350_000, top1=93.7),
    Point(name="narrow", kind="rivals", num_bytes=350_000, top1=90.0),
    Point(name="dense", kind="dense", num_bytes=44_700_000, top1=94.1),
]


def test_points_lie_where_their_values_are() -> None:
    root = ElementTree.fromstring(picture("Accuracy <over> bytes", POINTS))
    assert root.findtext(f"{NAMESPACE}title") == "Accuracy <over> bytes"
    marks = [
        (float(mark.attrib["cx"]), float(mark.attrib["cy"]), mark.attrib["fill"])
        for mark in root.iter(f"{NAMESPACE}circle")
    ][: len(POINTS)]
    (ours, rival, dense) = marks
    assert ours[0] == rival[0] < dense[0]
    assert dense[1] < ours[1] < rival[1]  # SVG counts downwards
    assert len({mark[2] for mark in marks}) == 3
    texts = [text.text for text in root.iter(f"{NAMESPACE}text")]
    assert {"2-44 & more", "generated", "file, KB", "500"} <= set(texts)


def test_a_single_point_and_none() -> None:
    ElementTree.fromstring(picture("One", POINTS[:1]))
    with pytest.raises(ValueError, match="picture: no points given"):
        picture("None", [])
