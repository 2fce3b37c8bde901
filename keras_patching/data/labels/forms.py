"""Tells well-known forms of label files by their content."""

import re

# Each text fits in one way, so that no time goes into trying others.
_NUMBER = r"(\d+(\.\d+)?|\.\d+)(e-?\d+)?"
_YOLO = re.compile(rf"\s*\d+(\s+{_NUMBER}){{4,}}\s*$", re.IGNORECASE)


def describe_json_form(content):
    """Name a well-known form of JSON labels.

    Args:
        content: What `strict_json.load_json` reads: objects are tuples of
            pairs.

    Returns:
        Name of the form, with an article, or `None`.
    """
    if isinstance(content, list):
        return _describe_list(content)
    fields = _fields(content)
    if is_labelme(content):
        return "a file of LabelMe"
    if is_via(content):
        return (
            "a project of the VGG Image Annotator (VIA)"
            if any(str(key).startswith("_via_") for key in fields)
            else "a file of the VGG Image Annotator (VIA)"
        )
    if fields.get("type") == "FeatureCollection":
        return "GeoJSON, as of QuPath"
    if {"project", "config", "attribute", "file", "metadata"} <= fields.keys():
        return "a project of version 3 of the VGG Image Annotator (VIA)"
    return None


def is_labelme(content):
    """Tell whether JSON is what LabelMe writes for an image."""
    fields = _fields(content)
    return "shapes" in fields and bool(
        fields.keys() & {"imagePath", "imageData"}
    )


def is_via(content):
    """Tell whether JSON is a project or an export of VIA 1 or 2."""
    fields = _fields(content)
    if any(str(key).startswith("_via_") for key in fields):
        return True
    return any(_is_of_via(_fields(value)) for value in fields.values())


def is_coco(content):
    """Tell whether JSON holds objects as COCO does."""
    fields = _fields(content)
    return all(
        isinstance(fields.get(key), list) for key in ("images", "annotations")
    )


def describe_text_form(text):
    """Name a well-known form of labels that are text.

    Returns:
        A sentence that ends in a space, or an empty text.
    """
    start = text.lstrip()[:1000]
    if start.startswith("<"):
        return "It is XML, as of Pascal VOC or CVAT. "
    if start.startswith(("{", "[")):
        return "It looks like JSON. "
    first = start.splitlines()[0] if start else ""
    if _YOLO.match(first):
        return "It is a text file of YOLO. "
    if first.count(",") >= 2:
        return "It looks like CSV. "
    return ""


def _describe_list(content):
    first = _fields(content[0]) if content else {}
    if {"image_id", "bbox"} <= first.keys():
        return "a list of results of COCO, without names of images"
    if first.keys() & {"data", "task"} and first.keys() & {
        "annotations",
        "completions",
        "predictions",
    }:
        return "a file of Label Studio"
    if {"image", "annotations"} <= first.keys():
        return "a file of CreateML"
    if first.get("type") == "Feature":
        return "GeoJSON, as of QuPath"
    return None


def _is_of_via(entry):
    """Tell an entry of VIA from one of ours whose objects are "regions"."""
    if {"regions", "filename", "size"} <= entry.keys():
        return True
    regions = entry.get("regions")
    # In version 1 of VIA they are an object, later a list.
    if not isinstance(regions, list):
        regions = _fields(regions).values()
    return any("shape_attributes" in _fields(region) for region in regions)


def _fields(content):
    return dict(content) if isinstance(content, tuple) else {}


def describe_folder_form(folder):
    """Name a well-known form of labels that is many files in a folder.

    Returns:
        A sentence that ends in a space, or an empty text.
    """
    suffixes = {path.suffix.lower() for path in folder.iterdir()}
    if ".xml" in suffixes:
        return "It holds XML, as of Pascal VOC or CVAT. "
    if ".txt" in suffixes:
        return "It holds text files, as of YOLO. "
    return ""
