"""What a page of HTML says, without a browser."""

import base64
import html.parser
import io
import re

from PIL import Image

_VOID = {"br", "circle", "img", "input", "link", "meta", "path", "rect"}


class PageReader(html.parser.HTMLParser):
    """The elements of a page, and its table of images.

    Args:
        text: HTML. Elements that are not closed are an error.

    Attributes:
        elements: Pairs of a tag and a dict of attributes, in their order.
        text: All text that is not style or script.
        rows: Per row of the table of images a list of `(text, data-value)` of
            its cells.
        head: Texts of its header.
    """

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self.head = [], [], []
        self.text = ""
        self._open = []
        self.feed(text)
        self.close()
        assert not self._open

    def named(self, tag, **attributes):
        """Give the attributes of the elements of a tag that have these."""
        return [
            found
            for name, found in self.elements
            if name == tag and attributes.items() <= found.items()
        ]

    def pictures(self):
        """Give the pictures in it, as arrays are made of."""
        return [decoded(found["src"]) for found in self.named("img")]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _VOID:
            self._open.append((tag, dict(attrs)))
        if self._is_in_rows():
            if tag == "tr" and self._is_inside("tbody"):
                self.rows.append([])
            elif tag in ("td", "th") and self._is_inside("tbody"):
                self.rows[-1].append(["", dict(attrs).get("data-value")])
            elif tag == "th":
                self.head.append("")

    def handle_endtag(self, tag):
        if tag not in _VOID:
            opened, _ = self._open.pop()
            assert opened == tag, (opened, tag, self.getpos())

    def handle_data(self, data):
        if self._open and self._open[-1][0] in ("style", "script"):
            return
        self.text += data
        if self._is_in_rows():
            if self._is_inside("tbody") and self._is_inside(("td", "th")):
                self.rows[-1][-1][0] += data
            elif self._is_inside("th"):
                self.head[-1] += data

    def _is_in_rows(self):
        return ("table", {"class": "rows"}) in self._open

    def _is_inside(self, tags):
        tags = (tags,) if isinstance(tags, str) else tags
        return any(tag in tags for tag, _ in self._open)


def decoded(source):
    """Give the picture of a data URI."""
    kind, data = re.fullmatch(
        r"data:image/(png|jpeg);base64,([\w+/=]+)", source
    ).groups()
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.format.lower() == kind
    return image.convert("RGBA") if "transparency" in image.info else image
