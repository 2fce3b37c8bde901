"""The HTML of a page: pictures with layers, tables, lists of facts.

Whatever comes from a file name, a class name or a message is escaped here.
"""

import base64
import html
import io

from PIL import Image

from keras_patching._printing import printable
from keras_patching.visualization.pages.layers import css

THUMB_SIDE = 288  # pixels, twice what is shown, for screens of high density
_QUALITY = 82  # of JPEG


def escaped(text):
    """Make any text one that HTML shows as it is, quotes too."""
    return html.escape(printable(text))


def picture(name, pixels, size, layers, side):
    """Give a small picture to click at, and the large one that it opens.

    Args:
        name: What the picture is of.
        pixels: uint8 `(height, width, 3)`.
        size: `(height, width)` of the image in pixels.
        layers: List of `Layer`.
        side: Longest side of the large picture in pixels.
    """
    name = escaped(name)
    height, width = size
    small = [_image(_jpeg(pixels, THUMB_SIDE), f'alt="{name}" loading="lazy"')]
    large = [_image(_jpeg(pixels, side), 'alt=""')]
    for layer in layers:
        mark = f'class="layer" data-layer="{layer.key}"'
        if layer.pixels is not None:
            mark = f'{mark} alt=""'
            small.append(_image(_png(*layer.pixels(THUMB_SIDE)), mark))
            large.append(_image(_png(*layer.pixels(side)), mark))
        else:
            small.append(
                f'<svg {mark} viewBox="0 0 {width} {height}" '
                f'aria-hidden="true">{layer.shapes}</svg>'
            )
    return (
        f'<button type="button" class="thumb" data-size="{width} {height}" '
        f'aria-label="Look at {name}"><span class="picture" '
        f'style="aspect-ratio:{width}/{height}">{"".join(small)}</span>'
        f"</button><template>{''.join(large)}</template>"
    )


def _image(data, attributes):
    return f'<img src="{data}" {attributes}>'


def _jpeg(pixels, side):
    image = Image.fromarray(pixels)
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return _data_uri(image, "jpeg", quality=_QUALITY)


def _png(indices, colors):
    height, width = indices.shape
    image = Image.frombytes("P", (width, height), indices.tobytes())
    image.putpalette(colors[:, :3].tobytes())
    return _data_uri(image, "png", transparency=colors[:, 3].tobytes())


def _data_uri(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    data = base64.b64encode(stream.getvalue()).decode()
    return f"data:image/{kind};base64,{data}"


def facts(pairs):
    """Give a list of what is known, from a dict of texts."""
    items = "".join(
        f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
        for name, value in pairs.items()
    )
    return f"<dl>{items}</dl>"


def notes(texts):
    """Give a list of sentences, or nothing."""
    if not texts:
        return ""
    items = "".join(f"<li>{escaped(text)}</li>" for text in texts)
    return f'<ul class="notes">{items}</ul>'


def faint(texts):
    """Give sentences that need not be seen first."""
    return "".join(f'<p class="faint">{escaped(text)}</p>' for text in texts)


def switches(kinds):
    """Give a switch per `LayerKind`, and how opaque they are."""
    if not kinds:
        return ""
    boxes = "".join(map(_switch, kinds))
    strength = (
        "<label>Opacity"
        '<input type="range" min="10" max="100" value="100"></label>'
    )
    return (
        '<div class="layers" role="group" aria-label="Layers over the '
        f'pictures">{boxes}{strength}</div>'
    )


def _switch(kind):
    legend = "".join(
        f"<span>{swatch(color)}{escaped(name)}</span>"
        for color, name in kind.legend
    )
    legend = f'<span class="legend">{legend}</span>' if legend else ""
    return (
        f'<label><input type="checkbox" value="{kind.key}"'
        f"{' checked' if kind.is_on else ''}>"
        f"{swatch(kind.color)}{escaped(kind.name)}</label>{legend}"
    )


def swatch(color):
    """Give a square of a colour, or nothing."""
    if color is None:
        return ""
    return f'<span class="swatch" style="background:{css(color)}"></span>'


def cell(value):
    """Give a cell of a `Value`, or of a text."""
    if isinstance(value, str):
        return f"<td>{escaped(value)}</td>"
    small = f"<small>{escaped(value.small)}</small>" if value.small else ""
    number = "NaN" if value.number is None else f"{value.number:.10g}"
    return f'<td data-value="{number}">{escaped(value.text)}{small}</td>'


def sorting_header(column):
    """Give the header of a `Column`, a button that sorts by it."""
    small = f"<small>{escaped(column.small)}</small>" if column.small else ""
    return (
        '<th scope="col"><button type="button">'
        f"{swatch(column.color)}{escaped(column.name)}</button>{small}</th>"
    )


def small_table(heading, columns, rows):
    """Give a table that does not sort, with its heading.

    Args:
        heading: Text.
        columns: List of texts.
        rows: List of lists of `Value` or text, the first of each what the row
            is of: a pair of a colour, or `None`, and a text.
    """
    head = "".join(
        f'<th scope="col">{escaped(column)}</th>' for column in columns
    )
    lines = []
    for (color, name), *values in rows:
        cells = "".join(map(cell, values))
        lines.append(
            f'<tr><th scope="row">{swatch(color)}{escaped(name)}</th>'
            f"{cells}</tr>"
        )
    return (
        f"<section><h2>{escaped(heading)}</h2>"
        '<div class="scroll" tabindex="0" role="region" '
        f'aria-label="{escaped(heading)}"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></section>"
    )
