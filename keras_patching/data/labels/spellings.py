"""Finds labels that are written in two ways, and hardly are two classes."""


def alike(labels, names):
    """Find labels that differ from a name in case or spaces alone.

    Args:
        labels: Names that occur.
        names: Names of classes.

    Returns:
        List of those labels that are no names.

    Example:

    >>> alike(["leaf", "Leaf ", "weed"], ["leaf"])
    ['Leaf ']
    """
    plain = {_plain(name) for name in names}
    return [
        label
        for label in labels
        if label not in names and _plain(label) in plain
    ]


def twice(labels):
    """Find labels of which another differs in case or spaces alone.

    Args:
        labels: Distinct names.

    Returns:
        Sorted list of the first of them and all that are like it, or an empty
        one.
    """
    groups = {}
    for label in sorted(labels):
        groups.setdefault(_plain(label), []).append(label)
    return next((each for each in groups.values() if len(each) > 1), [])


def _plain(label):
    return " ".join(label.split()).casefold()
