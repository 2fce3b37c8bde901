"""Splits into training and validation, made over whole images.

No image, and no group of images, has patches on both sides. The order comes
from a hash of the seed and the group, so neither the order of listing nor the
machine changes a split.
"""

import hashlib


def split_names(names, validation_split, seed=None, groups=None):
    """Split images, or groups of images, into training and validation.

    Args:
        names: Paths of the images, relative to their folder.
        validation_split: Wanted fraction of the images in validation, between
            0 and 1. As in Keras the number is rounded down, but at least 1.
        seed: Integer that selects the split. `None` selects the same split as
            0, and not a new one each time: a later run that goes on training
            must not meet its validation images in the training data.
        groups: Function from a name to its group (any value with a stable
            `repr`, such as a string). Images of one group stay on one side,
            and the number of validation images is as near to the wanted one
            as whole groups allow.

    Returns:
        `(training, validation)`: two sorted lists of names, neither empty.

    Raises:
        ValueError: If `validation_split` is not between 0 and 1, or there are
            fewer than two images or groups to split.

    Example:

    >>> training, validation = split_names(
    ...     ["a1.png", "a2.png", "b1.png", "c1.png"],
    ...     0.25,
    ...     seed=0,
    ...     groups=lambda name: name[0],
    ... )
    >>> len(training), len(validation)
    (3, 1)
    """
    if not 0 < validation_split < 1:
        raise ValueError(
            "`validation_split` must be between 0 and 1. "
            f"Received: validation_split={validation_split}"
        )
    members = _group(names, groups)
    if len(members) < 2:
        parts = "image" if groups is None else "group of images"
        raise ValueError(
            f"There is nothing to split: found {len(names)} images in "
            f"{len(members)} group(s), expected at least one {parts} for "
            "training and one for validation. Add images, or load the data "
            f"without `validation_split`. Received: validation_split="
            f"{validation_split}, groups={groups}"
        )
    drawn = sorted(members, key=lambda group: _draw(seed or 0, group))
    wanted = max(int(validation_split * len(names)), 1)
    chosen = (
        drawn[:wanted]
        if groups is None
        else _choose(drawn, [len(members[group]) for group in drawn], wanted)
    )
    validation = sorted(name for group in chosen for name in members[group])
    return sorted(set(names) - set(validation)), validation


def _group(names, groups):
    members = {}
    for name in names:
        group = name if groups is None else groups(name)
        members.setdefault(repr(group), []).append(name)
    return members


def _draw(seed, group):
    return hashlib.sha256(f"{int(seed)}\0{group}".encode()).digest()


def _choose(groups, sizes, wanted):
    """Choose groups, early ones first, whose sizes add up nearest to wanted.

    Bit `s` of a number in `reachable` says that some of the groups from there
    to the end have the total size `s`.
    """
    reachable = [1]
    for size in reversed(sizes):
        reachable.append(reachable[-1] | reachable[-1] << size)
    reachable.reverse()
    totals = [s for s in range(1, sum(sizes)) if reachable[0] >> s & 1]
    rest = min(totals, key=lambda total: abs(total - wanted))
    chosen = []
    for group, size, after in zip(groups, sizes, reachable[1:], strict=True):
        if rest >= size and after >> (rest - size) & 1:
            chosen.append(group)
            rest -= size
    return chosen
