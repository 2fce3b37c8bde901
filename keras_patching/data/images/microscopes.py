"""What the TIFFs of microscopes and slide scanners say of their images."""

import contextlib
import math
import re
import xml.etree.ElementTree as ElementTree

from keras_patching._faults import ImageFileError
from keras_patching.data.images.pixel_size import PixelSize

# Micrometres in a unit, as OME-TIFF, OME-Zarr and ImageJ write them.
_MICROMETRES = {
    **dict.fromkeys(("µm", "μm", "um", "micron", "micrometer"), 1.0),
    **dict.fromkeys(("microns", "micrometre", "\\u00B5m"), 1.0),
    **dict.fromkeys(("nm", "nanometer"), 1e-3),
    **dict.fromkeys(("pm", "picometer"), 1e-6),
    **dict.fromkeys(("Å", "angstrom"), 1e-4),
    **dict.fromkeys(("mm", "millimeter"), 1e3),
    **dict.fromkeys(("cm", "centimeter"), 1e4),
    **dict.fromkeys(("dm", "decimeter"), 1e5),
    **dict.fromkeys(("m", "meter"), 1e6),
    **dict.fromkeys(("inch", "in."), 25400.0),
}
_MOST_PLANES, _MOST_LEVELS = 2**22, 500
_AT_ONCE = 2**14  # Characters of XML.
_SIZES = "SizeX", "SizeY", "SizeZ", "SizeC", "SizeT"
_X_RESOLUTION, _Y_RESOLUTION = 282, 283


def micrometres(height, width, unit):
    """Make a `PixelSize` of lengths in a unit.

    Args:
        height, width: Lengths, numbers or text.
        unit: Name of the unit, as OME and ImageJ write it.

    Returns:
        A `PixelSize` in µm, or `None` where the unit is none of length, or a
        length is no number above 0.
    """
    factor = _MICROMETRES.get(unit)
    if factor is None:
        return None
    with contextlib.suppress(ValueError, TypeError):
        return PixelSize(float(height) * factor, float(width) * factor, "µm")
    return None


def describe_images(tiff, on_earth=None):
    """Tell what a TIFF says of each of its images.

    Args:
        tiff: `tifffile.TiffFile`.
        on_earth: `PixelSize` of the first, where it is a map.

    Returns:
        List of `(name, pixel_size, channel_names)`, one for each of its
        `series`: text, empty where there is none; `PixelSize` of the largest
        level or `None`; tuple of texts.
    """
    series = tiff.series
    kinds = {each.kind for each in series}
    if kinds == {"ome"}:
        known = _describe_ome(tiff.ome_metadata)
        if len(known) == len(series):
            return known
    described = [(each.name, None, ()) for each in series]
    described[0] = series[0].name, on_earth, ()
    page = series[0].keyframe
    if kinds == {"svs"}:
        described[0] = series[0].name, _aperio_size(page.description), ()
    elif kinds == {"imagej"}:
        described[0] = series[0].name, _imagej_size(tiff, page), ()
    return described


def pixel_size_of(tiff):
    """Give the `PixelSize` of the first image of a TIFF, or `None`."""
    if not (tiff.is_ome or tiff.is_svs or tiff.is_imagej):
        return None
    if tiff.is_ome:  # Also one of a set of files.
        known = _describe_ome(tiff.ome_metadata)
        return known[0][1] if len(known) == 1 else None
    page = tiff.pages.first
    if tiff.is_svs:
        return _aperio_size(page.description)
    return _imagej_size(tiff, page)


def check_planes(tiff, path):
    """Refuse OME-XML of more planes than there are anywhere.

    tifffile makes a list of all of them, whether or not they are there.

    Args:
        tiff: `tifffile.TiffFile` that has such XML.
        path: Path that error messages name.
    """
    root = _parse_ome(tiff.ome_metadata)
    if root is None:
        raise ImageFileError(
            f"{path}: its OME-XML has elements in more than {_MOST_LEVELS} "
            "others. Write it anew."
        )
    page = tiff.pages.first
    known = page.imagewidth * page.imagelength
    for element in root.iter():
        pixels = math.prod(_counts(element, *_SIZES))
        if pixels > _MOST_PLANES * max(known, 1):
            raise ImageFileError(
                f"{path}: its OME-XML tells of {pixels} pixels, and the first "
                f"image has {known}. Correct {', '.join(_SIZES)}."
            )
        planes = max(_counts(element, "PlaneCount", "NumPlanes"), default=0)
        if planes > _MOST_PLANES:
            raise ImageFileError(
                f"{path}: its OME-XML tells of {planes} planes at one place, "
                f"expected at most {_MOST_PLANES}. Correct PlaneCount."
            )


def _counts(element, *names):
    """List those attributes of an element that are numbers, without sign."""
    counts = []
    for name in names:
        with contextlib.suppress(ValueError):
            counts.append(abs(int(element.get(name, ""))))
    return counts


def _parse_ome(text):
    """Give the root of OME-XML; without children if it is none.

    `None` is of elements deep in others, which would take long to read.
    """
    # Of tifffile, which parses it too; expat fetches nothing, and ends where
    # entities grow.
    parser = ElementTree.XMLPullParser(["start", "end"])
    root, level = None, 0
    try:
        for first in range(0, len(text), _AT_ONCE):
            parser.feed(text[first : first + _AT_ONCE])
            for event, element in parser.read_events():
                root = element if root is None else root
                level += 1 if event == "start" else -1
                if level > _MOST_LEVELS:
                    return None
        parser.close()
    except (ElementTree.ParseError, TypeError, ValueError):
        return ElementTree.Element("OME")
    return root


def _describe_ome(text):
    root = _parse_ome(text)
    return [_describe_image(image) for image in root if _tag(image) == "Image"]


def _describe_image(image):
    name, size, channels = image.get("Name", ""), None, []
    for pixels in (each for each in image if _tag(each) == "Pixels"):
        unit = pixels.get("PhysicalSizeXUnit", "µm")
        if pixels.get("PhysicalSizeYUnit", "µm") == unit:
            size = micrometres(
                pixels.get("PhysicalSizeY"), pixels.get("PhysicalSizeX"), unit
            )
        channels = [
            each.get("Name", "") for each in pixels if _tag(each) == "Channel"
        ]
    return name, size, tuple(channels) if any(channels) else ()


def _tag(element):
    return element.tag.rpartition("}")[2]


def _aperio_size(text):
    """Give the size that the description of an Aperio slide tells."""
    found = re.search(r"\|\s*MPP\s*=\s*([0-9.eE+-]+)", text)
    return micrometres(found[1], found[1], "µm") if found else None


def _imagej_size(tiff, page):
    """Give the size of ImageJ: pixels in a unit, of which it has the name."""
    unit = (tiff.imagej_metadata or {}).get("unit")
    lengths = []
    for tag in (_Y_RESOLUTION, _X_RESOLUTION):
        tag = page.tags.get(tag)
        pixels, units = (0, 1) if tag is None else tag.value
        if not pixels:
            return None
        lengths.append(units / pixels)
    return micrometres(*lengths, unit)
