"""Points of the shapes that LabelMe, the VGG Image Annotator and COCO hold."""

from keras_patching._faults import few
from keras_patching.data.labels.point_labels import FoundPoint


def points_of_shapes(item, faults, classes=None):
    """Take the points of an image, and refuse shapes that are none.

    Args:
        item: `AnnotatedImage`.
        faults: List that what is wrong is added to, with file and place.
        classes: Names of the classes that are counted, or of the keypoints
            that stand for objects; `None` for all. Others may be any shapes.

    Returns:
        List of `FoundPoint`.
    """
    shapes = [shape for shape in item.shapes if not shape.crowd]
    counted = [
        (shape, name)
        for shape, name in ((each, _name(each, classes)) for each in shapes)
        if classes is None or name in classes
    ]
    others = {}
    for shape, _ in counted:
        if shape.kind != "point":
            others.setdefault(shape.kind, []).append(shape.place)
    slips = [_describe_shapes(*each) for each in others.items()]
    slips += _refuse_keypoints([shape for shape, _ in counted], shapes)
    slips += _refuse_groups([shape for shape, _ in counted])
    faults += [f"{item.label_file}, {slip}" for slip in slips]
    # Those that are not counted are told with the classes that there are.
    points = [shape for shape in shapes if shape.kind == "point"]
    return [
        FoundPoint(*each.points[0].tolist(), each.place, _name(each, classes))
        for each in points
    ]


def _name(shape, classes):
    """Give the class of a shape: of its names the one that is counted."""
    names = [shape.label, shape.part, *shape.attributes.values()]
    counted = [name for name in names if name in (classes or ())]
    if counted:
        return counted[0]
    if classes and shape.part is not None:
        return f"{shape.label} (keypoint {shape.part})"
    return shape.label


def _refuse_keypoints(counted, shapes):
    """Find objects with several points that are counted, or with none."""
    parts = {}
    for shape in counted:
        if shape.part is not None:
            parts.setdefault(shape.instance, []).append(shape)
    for several in parts.values():
        if len(several) > 1:
            names = [shape.part for shape in several]
            return [
                f"{several[0].place}: found {len(names)} keypoints of one "
                f"object, {few(names, 20)}, expected one to count. Choose it "
                f"by its name, such as classes=[{names[0]!r}]."
            ]
    labels = {several[0].label for several in parts.values()}
    lacking = {
        shape.instance: shape.place
        for shape in shapes
        if shape.part is not None
        and shape.label in labels
        and shape.instance not in parts
    }
    return [
        f"{place}: has not the keypoint that others are counted by. Label it, "
        "or remove the annotation."
        for place in lacking.values()
    ]


def _refuse_groups(counted):
    """Find points that LabelMe has grouped, which may be one object."""
    groups = {}
    for shape in counted:
        if shape.part is None and shape.instance != shape.place:
            groups.setdefault(shape.instance, []).append(shape.place)
    return [
        f"{places[0]}: found {len(places)} points of one label and group_id, "
        "which may be one object or several. Remove their group, or all but "
        "one of them."
        for places in groups.values()
        if len(places) > 1
    ]


def _describe_shapes(kind, places):
    more = f", as in {len(places) - 1} more" if places[1:] else ""
    return (
        f"{places[0]}: found a {kind}{more}, expected points, since a shape "
        "may be an object or a region of many. Remove it, or choose the "
        "classes of the points by classes=."
    )
