"""A page in a browser: it sorts, switches layers, zooms, fits a phone."""

import contextlib

import numpy as np
import pytest
from browser import find_browser, opened

from keras_patching.visualization.pages.layers import (
    LayerKind,
    box_layer,
    mask_layer,
)
from keras_patching.visualization.pages.page import (
    Column,
    ImageRow,
    Page,
    SmallTable,
    Value,
)

pytestmark = pytest.mark.skipif(
    find_browser() is None,
    reason="Needs Chromium: `apt-get install chromium`.",
)
NAMES = ["b.png", "a_very_long_name_" * 4 + ".png", "<b>c</b>.png"]
COUNTS = [9, 110, None]


def make_row(name, count):
    def draw():
        rng = np.random.default_rng(0)
        pixels = rng.integers(0, 256, (600, 900, 3), dtype=np.uint8)
        mask = np.zeros((600, 900), "uint8")
        mask[:300] = 1
        boxes = np.array([[100, 50, 300, 200]])
        return pixels, [
            mask_layer("mask", mask, [(86, 180, 233)]),
            box_layer("boxes", boxes, ["0.90"]),
        ]

    values = [Value(count, str(count)), *[Value(1, "1,234,567 px")] * 6]
    return ImageRow(name, values, draw, (600, 900))


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    page = Page(
        title="Predictions of 3 images",
        facts={"Model": "field"},
        notes=["One thing failed: /a/very/long/path" + "/folder" * 20],
        tables=[SmallTable("Areas", ["Class"] * 8, [[(None, "x")] * 1])],
        heading="Images",
        columns=[Column("Count"), *[Column("A class of plants")] * 6],
        kinds=[LayerKind("mask", "Mask"), LayerKind("boxes", "Boxes")],
        rows=[make_row(*each) for each in zip(NAMES, COUNTS, strict=True)],
    )
    path = folder / "report.html"
    path.write_text(page.html(), encoding="utf-8")
    with opened(path, folder / "profile") as tab:
        yield tab


@pytest.fixture(autouse=True)
def _as_before(tab):
    tab.look(1200, 800)
    yield
    assert tab.messages == []


@contextlib.contextmanager
def viewing(tab, number=0):
    tab.run(f"document.querySelectorAll('.thumb')[{number}].click()")
    tab.run("document.querySelector('.stage img').decode()")
    yield
    tab.run(
        "new Promise(done => { if (!viewer.open) done(); viewer."
        "addEventListener('close', () => done()); viewer.close(); })"
    )


def names(tab):
    return tab.run(
        "[...document.querySelectorAll('.rows tbody th')]"
        ".map(each => each.textContent)"
    )


def header(tab, text, attribute="aria-sort"):
    return tab.run(
        "[...document.querySelectorAll('.rows thead th')].find(each => "
        f"each.textContent === '{text}').getAttribute('{attribute}')"
    )


def focus(tab, text):
    tab.run(
        "[...document.querySelectorAll('.rows thead button')].find(each => "
        f"each.textContent === '{text}').focus()"
    )


def test_a_header_sorts_by_click_and_by_key(tab):
    b, a, c = NAMES
    focus(tab, "Count")
    tab.press("Enter")
    assert names(tab) == [b, a, c]  # by number, the unknown last
    assert header(tab, "Count") == "ascending"
    tab.press("Enter")
    assert names(tab) == [a, b, c]
    assert header(tab, "Count") == "descending"
    tab.run("document.querySelectorAll('.rows thead button')[0].click()")
    assert names(tab) == [c, a, b]
    assert header(tab, "Count") is None
    assert header(tab, "Name") == "ascending"


def test_what_has_the_focus_is_seen(tab):
    focus(tab, "Count")
    tab.press("Tab")
    style = "getComputedStyle(document.activeElement).outlineWidth"
    assert tab.run(style) == "3px"


def test_a_switch_hides_a_layer_of_all_pictures(tab):
    shown = (
        "[...document.querySelectorAll('.layer')].filter(each => "
        "getComputedStyle(each).display !== 'none')"
        ".map(each => each.dataset.layer)"
    )
    assert sorted(tab.run(shown)) == ["boxes"] * 3 + ["mask"] * 3
    tab.run("document.querySelector('[value=mask]').click()")
    assert tab.run(shown) == ["boxes"] * 3
    with viewing(tab):
        assert "mask" not in tab.run(shown)
        # The switches come along.
        tab.run("document.querySelector('dialog [value=mask]').click()")
        assert tab.run(shown).count("mask") == 4
    assert sorted(tab.run(shown)) == ["boxes"] * 3 + ["mask"] * 3


SCALE = "document.querySelector('.stage').getBoundingClientRect().width / 900"


def test_a_click_opens_the_large_picture_and_the_wheel_zooms(tab):
    with viewing(tab):
        width, height = tab.run(
            "(({naturalWidth, naturalHeight}) => [naturalWidth, "
            "naturalHeight])(document.querySelector('.stage img'))"
        )
        assert (width, height) == (900, 600)
        before = tab.run(SCALE)
        tab.wheel(600, 500, -400)
        assert tab.run(SCALE) == pytest.approx(before * np.e, rel=0.01)
        tab.press("0")
        assert tab.run(SCALE) == pytest.approx(before)
        tab.press("+")
        assert tab.run(SCALE) == pytest.approx(before * 1.5)
        tab.run("document.querySelector('[data-do=out]').click()")
        assert tab.run(SCALE) == pytest.approx(before)
        name = "document.querySelector('#viewer-name').textContent"
        first = tab.run(name)
        tab.press("n")
        assert tab.run(name) != first
        tab.press("p")
        assert tab.run(name) == first
        tab.press("Escape")
        assert tab.run("document.querySelector('dialog').open") is False
        # Back where it was opened.
        assert tab.run("document.activeElement.className") == "thumb"


def test_a_zoom_keeps_what_is_below_the_pointer(tab):
    place = (
        "(() => {const box = document.querySelector('.stage')"
        ".getBoundingClientRect(); return (700 - box.left) / box.width})()"
    )
    with viewing(tab):
        for _ in range(3):
            tab.press("+")
        before = tab.run(place)
        tab.wheel(700, 500, -200)
        assert tab.run(place) == pytest.approx(before, abs=0.01)


def test_two_fingers_zoom(tab):
    tab.look(360, 740, touch=True)
    with viewing(tab):
        before = tab.run(SCALE)
        tab.pinch(180, 450, 60, 180)
        assert tab.run(SCALE) == pytest.approx(3 * before, rel=0.1)


def test_what_the_table_says_stands_above_the_large_picture(tab):
    numbers = {"b.png": "9", "<b>c</b>.png": "None"}
    for number, name in enumerate(names(tab)):
        with viewing(tab, number):
            said = tab.run(
                "document.querySelector('#viewer-values').textContent"
            )
            assert said.startswith(f"Count: {numbers.get(name, 110)}, A class")


@pytest.mark.parametrize("is_open", [False, True])
def test_a_phone_never_scrolls_the_page_sideways(tab, is_open):
    tab.look(360, 740, touch=True)
    around = viewing(tab) if is_open else contextlib.nullcontext()
    with around:
        assert tab.run("document.documentElement.scrollWidth") == 360
        assert tab.run("innerWidth") == 360
        widest = "document.querySelector('.rows').offsetWidth"
        assert tab.run(widest) > 360  # The table scrolls in itself.


def luminance(tab, of):
    color = tab.run(f"getComputedStyle(document.body).{of}")
    return sum(map(int, color.removeprefix("rgb(").rstrip(")").split(",")))


def test_it_is_light_or_dark_as_the_system_is(tab):
    assert luminance(tab, "backgroundColor") > 3 * 240
    assert luminance(tab, "color") < 3 * 60
    tab.look(1200, 800, "dark")
    assert luminance(tab, "backgroundColor") < 3 * 40
    assert luminance(tab, "color") > 3 * 200
