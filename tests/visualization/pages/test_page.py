"""A page holds all that it shows, and shows any name as it is."""

import re

import numpy as np
import pytest
from page_reader import PageReader

from keras_patching.visualization.pages import page as pages
from keras_patching.visualization.pages.layers import (
    MOST_SHAPES,
    LayerKind,
    box_layer,
    heatmap_layer,
    mask_layer,
    point_layer,
)
from keras_patching.visualization.pages.page import (
    Column,
    ImageRow,
    Page,
    SmallTable,
    Value,
    large_side,
)

HOSTILE = "<script>alert(\"1\")</script> & 'ü' \udcfc $title {0}"
SHOWN = HOSTILE.replace("\udcfc", "\\xfc")
BLUE = (86, 180, 233)


def draw(layers=(), size=(10, 14)):
    return lambda: (np.full((*size, 3), 200, "uint8"), list(layers))


def make_page(rows, kinds=(), columns=(), **kwargs):
    texts = {"title": "Images", "facts": {}, "notes": [], "tables": []}
    return Page(
        **{**texts, **kwargs},
        heading="Images",
        columns=columns,
        kinds=kinds,
        rows=rows,
    ).html()


def a_row(name="a.png", values=(), layers=()):
    return ImageRow(name, values, draw(layers), (10, 14))


def test_any_text_is_shown_as_it_is_and_runs_nowhere():
    table = SmallTable(HOSTILE, [HOSTILE], [[(BLUE, HOSTILE), HOSTILE]])
    html = make_page(
        [a_row(HOSTILE, [Value(1, HOSTILE, HOSTILE), HOSTILE])],
        [LayerKind("mask", HOSTILE, BLUE, legend=[(BLUE, HOSTILE)])],
        [Column(HOSTILE, HOSTILE), Column(HOSTILE)],
        title=HOSTILE,
        facts={HOSTILE: HOSTILE},
        notes=[HOSTILE],
        tables=[table],
    )
    html.encode("utf-8")
    page = PageReader(html)
    # Not one more than that of the page itself.
    assert len(page.named("script")) == 1
    assert "<script>alert" not in html
    assert page.text.count(SHOWN) == 18
    (image,) = page.named("img", loading="lazy")
    assert image["alt"] == SHOWN
    (button,) = page.named("button", **{"class": "thumb"})
    assert button["aria-label"] == f"Look at {SHOWN}"


def test_it_asks_for_no_other_file_and_no_network():
    layers = [mask_layer("mask", np.ones((10, 14), int), [BLUE])]
    html = make_page([a_row(layers=layers)], [LayerKind("mask", "Mask")])
    page = PageReader(html)
    (policy,) = page.named("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"].startswith("default-src 'none'; img-src data:;")
    assert not page.named("link")
    assert all("src" not in found for found in page.named("script"))
    assert len(page.pictures()) == 4  # small and large, and the layer over each
    assert not re.search(r"https?:|url\(|@import|fetch\(", html)


def test_a_phone_is_told_its_width_and_a_reader_what_is_what():
    html = make_page([a_row()], [LayerKind("mask", "Mask")], [Column("Count")])
    page = PageReader(html)
    assert page.named("html", lang="en")
    assert page.named("meta", name="viewport")
    assert all("alt" in found for found in page.named("img"))
    for found in page.named("button"):
        assert found["type"] == "button"
    assert all(found.get("scope") for found in page.named("th"))


def test_a_table_sorts_by_numbers_that_are_not_as_they_are_written():
    rows = [
        a_row("a.png", [Value(1234.5, "1,234.5", "px"), "maize"]),
        a_row("b.png", [Value(None, "-"), "weed"]),
    ]
    page = PageReader(make_page(rows, (), [Column("Count"), Column("Kind")]))
    assert page.head == ["Picture", "Name", "Count", "Kind"]
    assert [cells[1][0] for cells in page.rows] == ["a.png", "b.png"]
    assert [cells[2] for cells in page.rows] == [
        ["1,234.5px", "1234.5"],
        ["-", "NaN"],
    ]
    assert [cells[3] for cells in page.rows] == [
        ["maize", None],
        ["weed", None],
    ]


def test_it_says_how_many_rows_it_leaves_out(monkeypatch):
    monkeypatch.setattr(pages, "MOST_ROWS", 2)
    page = PageReader(make_page([a_row(f"{i}.png") for i in range(5)]))
    assert len(page.rows) == 2
    assert "the first 2 of 5" in page.text
    assert "the first" not in PageReader(make_page([a_row()])).text


@pytest.mark.parametrize(
    ("size", "count", "side"),
    [
        ((1000, 1000), 1, 1600),
        ((1000, 1000), 39, 1600),
        ((1000, 1000), 400, 500),
        ((1000, 4000), 400, 1000),
        ((1000, 1000), 5000, 320),
    ],
)
def test_the_more_pictures_the_smaller_they_are(size, count, side):
    assert large_side(size, count) == side


def test_large_pictures_are_shrunk_and_it_says_so():
    row = ImageRow("a", [], draw(size=(40, 3200)), (40, 3200))
    page = PageReader(make_page([row]))
    assert [image.size for image in page.pictures()] == [(288, 4), (1600, 20)]
    assert "1,600 pixels a side" in page.text


def drawn(layer, side):
    indices, colors = layer.pixels(side)
    return colors[indices]


@pytest.mark.parametrize("count", [1, 127, 128, 255, 300])
def test_each_of_many_classes_has_its_colour(count):
    colors = [(i % 256, i // 256, 7) for i in range(1, count + 1)]
    mask = np.arange(count + 1).reshape(1, -1)
    pixels = drawn(mask_layer("mask", mask, colors), 500)
    assert pixels[0, 0, 3] == 0
    expected = colors[:255] + colors[: max(0, count - 255)]
    assert [tuple(each) for each in pixels[0, 1:, :3].tolist()] == expected
    assert (pixels[0, 1:, 3] > 0).all()


def test_a_mask_is_clear_where_nothing_is_and_opaque_at_its_edge():
    mask = np.zeros((9, 9), "uint8")
    mask[2:7, 2:7] = 2
    pixels = drawn(mask_layer("mask", mask, [(1, 1, 1), BLUE]), 9)
    assert pixels[4, 4].tolist() == [*BLUE, 128]
    assert pixels[2, 4].tolist() == [*BLUE, 255]
    assert pixels[0, 0, 3] == 0
    smaller = drawn(mask_layer("mask", mask, [(1, 1, 1), BLUE]), 3)
    assert (smaller[..., 3] > 0).tolist() == [
        [False, False, False],
        [False, True, False],
        [False, False, False],
    ]


def test_a_heatmap_is_clear_at_zero():
    heatmap = np.array([[0, 0.5, 1]])
    pixels = drawn(heatmap_layer("heatmap", heatmap, highest=1.0), 3)
    assert pixels[0, 0, 3] == 0
    assert pixels[0, 2].tolist() == [255, 255, 255, 204]


def test_objects_lie_where_they_are_in_the_image():
    points = point_layer("points", np.array([[3.5, 12.25]]), 4.0)
    assert '<circle cx="12.2" cy="3.5" r="4"/>' in points.shapes
    boxes = box_layer("boxes", np.array([[1, 2, 5, 4.5]]), ["0.90"], BLUE)
    assert '<rect x="1" y="2" width="4" height="2.5"/>' in boxes.shapes
    assert ">0.90</text>" in boxes.shapes
    assert 'stroke="#56b4e9"' in boxes.shapes
    page = PageReader(
        make_page([a_row(layers=[points])], [LayerKind("points", "Located")])
    )
    (svg,) = page.named("svg")
    assert svg["viewbox"] == "0 0 14 10"
    (switch,) = page.named("input", type="checkbox")
    assert switch["value"] == svg["data-layer"] == "points"


def test_objects_that_are_not_drawn_are_told():
    points = np.zeros((MOST_SHAPES + 7, 2))
    layer = point_layer("points", points, 3.0)
    assert layer.shapes.count("<circle") == MOST_SHAPES
    page = PageReader(make_page([a_row(layers=[layer])]))
    assert "7 objects are counted and not drawn" in page.text
