"""Splits into training, validation and test, made over whole images.

No image, and no group of images, has patches in two of them. The order comes
from a hash of the seed and the group, so neither the order of listing nor the
machine changes a split.
"""

import hashlib


def split_names(
    names, validation_split, seed=None, groups=None, test_split=None
):
    """Split images, or groups of images, into training, validation and test.

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
            as whole groups allow, as is then that of test images.
        test_split: Wanted fraction of the images in the test set, which is
            drawn from what would be training: validation is the same with and
            without it. `None` makes no test set.

    Returns:
        `(training, validation)`, with a `test_split` `(training, validation,
        test)`: sorted lists of names, none empty.

    Raises:
        ValueError: If fractions are not between 0 and 1, or leave nothing, or
            there are fewer images or groups than parts.

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
    shares = {"validation_split": validation_split}
    if test_split is not None:
        shares["test_split"] = test_split
    check_shares(shares)
    members = _group(names, groups)
    left = sorted(members, key=lambda group: _draw(seed or 0, group))
    parts = []
    for part, share in enumerate(shares.values()):
        if len(left) < 1 + len(shares) - part:
            raise _nothing_to_split(names, members, shares, groups)
        wanted = max(int(share * len(names)), 1)
        sizes = [len(members[group]) for group in left]
        chosen = (
            left[:wanted] if groups is None else _choose(left, sizes, wanted)
        )
        parts.append(set(chosen))
        left = [group for group in left if group not in parts[-1]]
    if not left:
        raise _nothing_to_split(names, members, shares, groups)
    return tuple(
        sorted(name for group in part for name in members[group])
        for part in (left, *parts)
    )


def check_shares(shares):
    """Refuse fractions that leave nothing for a part, or for training.

    Args:
        shares: Dict from the name of an argument to its fraction.
    """
    received = ", ".join(f"{name}={share}" for name, share in shares.items())
    for name, share in shares.items():
        if not 0 < share < 1:
            raise ValueError(
                f"`{name}` must be between 0 and 1. Received: {received}"
            )
    if sum(shares.values()) >= 1:
        raise ValueError(
            "`validation_split` and `test_split` leave nothing for training: "
            f"their sum must be below 1. Received: {received}"
        )


def _nothing_to_split(names, members, shares, groups):
    parts = "image" if groups is None else "group of images"
    received = ", ".join(f"{name}={share}" for name, share in shares.items())
    return ValueError(
        f"There is nothing to split: found {len(names)} images in "
        f"{len(members)} group(s), expected at least one {parts} for "
        f"each of training, {' and '.join(s.split('_')[0] for s in shares)}. "
        "Add images, split off less, split large images in space by "
        'split_by="blocks", or load the data without '
        f"{' and '.join(f'`{name}`' for name in shares)}. "
        f"Received: {received}, groups={groups}"
    )


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
