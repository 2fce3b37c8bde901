"""Tells which boxes of different patches are one object.

Two patches place one object a little differently. A patch says each object
once, so one of its boxes is the same as one box of another patch at the most,
the one that is most alike. That keeps two small neighbours apart, which are
closer to each other than a patch is sure of a place.

Boxes are `x1, y1, x2, y2` in pixels of the image.
"""

import numpy as np

from keras_patching.box_geometry import (
    area,
    intersection,
    intersection_over_smaller,
    iou,
)

# Boxes of a higher IoU are alike; also where a seam cuts them.
_ALIKE = 0.5
_AT_EDGE = 1 / 3
_ROUNDING = 1e-6


class Seams:
    """Takes pairs of boxes, chunk by chunk, and says which are one object.

    Args:
        boxes: float64 `(n, 4)`.
        labels: Integer array `(n,)`. Boxes of one class are matched first.
        patches: Integer array `(n,)`: the number of the patch of each box.
        owned: Bool array `(n,)`: whether its patch owns a box.
        extents: float64 `(patches, 4)`: what each patch sees of the image.
        margin: `(y, x)` in pixels: boxes of which each side is not further
            from that of the other are alike.

    Attributes:
        covered: Bool array `(n,)`: most of the box, or of the other, is in a
            box that another patch owns.
    """

    def __init__(self, boxes, labels, patches, owned, extents, margin):
        self._boxes, self._labels, self._patches = boxes, labels, patches
        self._owned, self._extents = owned, extents
        margin = np.maximum(margin, _ROUNDING)
        self._margin = margin[[1, 0, 1, 0]]
        self._pairs, self._unlikeness = [], []
        self.covered = np.zeros(len(boxes), bool)

    def add(self, one, other):
        """Look at pairs, two index arrays, of boxes that are near each other.

        Every such pair must be added.
        """
        across = self._patches[one] != self._patches[other]
        one, other = one[across], other[across]
        self._cover(one, other)
        boxes, others = self._boxes[one], self._boxes[other]
        extents = self._extents[self._patches[one]]
        other_extents = self._extents[self._patches[other]]
        # What each patch would see of the other's box.
        other_seen = intersection(others, extents)
        seen = intersection(boxes, other_extents)
        apart = np.minimum(
            self._apart(boxes, others, other_seen),
            self._apart(others, boxes, seen),
        )
        # A detector may guess the part of an object beyond its patch: then
        # whole boxes are alike.
        meet = area(intersection(boxes, others)) > 0
        whole = self._apart(boxes, others, others)
        apart = np.where(meet, np.minimum(apart, whole), apart)
        seen = intersection(seen, extents)
        other_seen = intersection(other_seen, other_extents)
        seen_iou = iou(seen, other_seen)
        alike = (apart <= 1) | (seen_iou > _ALIKE)
        pairs = np.stack([one, other], axis=1)[alike]
        unlikeness = np.minimum(apart, 1)[alike] - seen_iou[alike]
        is_other_class = self._labels[pairs[:, 0]] != self._labels[pairs[:, 1]]
        self._pairs.append(pairs)
        self._unlikeness.append(unlikeness + 2 * is_other_class)

    def _apart(self, boxes, others, seen):
        """Give how far sides are from what a patch sees of others, in margins.

        What it sees nothing of is infinitely far.
        """
        # Where the edge of a patch cuts an object, its box ends at that edge,
        # which is known better than the sides of the object.
        margin = np.where(others == seen, self._margin, self._margin * _AT_EDGE)
        apart = (np.abs(boxes - seen) / margin).max(axis=1)
        return np.where(area(seen) > 0, apart, np.inf)

    def _cover(self, one, other):
        boxes, others = self._boxes[one], self._boxes[other]
        mostly = intersection_over_smaller(boxes, others) > _ALIKE
        self.covered[one[mostly & self._owned[other]]] = True
        self.covered[other[mostly & self._owned[one]]] = True

    def pairs(self):
        """Return `(one, other)`: index arrays of boxes that are one object."""
        if not self._pairs:
            return np.zeros(0, int), np.zeros(0, int)
        pairs = np.sort(np.concatenate(self._pairs), axis=1)
        order = np.argsort(np.concatenate(self._unlikeness), kind="stable")
        pairs = pairs[order]
        number = len(self._extents)
        one, other = pairs.T
        # A box, and the patch in which it has one box that is the same.
        ends = np.stack(
            [
                one * number + self._patches[other],
                other * number + self._patches[one],
            ],
            axis=1,
        )
        return pairs[_first_come(ends)].T

    def describe(self, one, other):
        """Tell of each box what is known of it by others.

        Args:
            one, other: As of `pairs`.

        Returns:
            Three bool arrays `(n,)`: whether another patch has it too;
            whether one of these owns it; and whether one does that is
            connected to it over others.
        """
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        count = len(self._boxes)
        graph = coo_array((np.ones(len(one)), (one, other)), (count, count))
        number, group = connected_components(graph, directed=False)
        is_owned = np.zeros(number, bool)
        is_owned[group[self._owned]] = True
        has_same, has_owner = np.zeros((2, count), bool)
        has_same[one] = has_same[other] = True
        has_owner[one[self._owned[other]]] = True
        has_owner[other[self._owned[one]]] = True
        return has_same, has_owner, is_owned[group]


def _first_come(ends):
    """Tell which pairs come first at both of their ends.

    Args:
        ends: Integer array `(n, 2)`; who comes first is served first, and both
            ends are then taken.

    Returns:
        Integer array `(m,)`: the pairs that are served.
    """
    waiting, served = np.arange(len(ends)), []
    while len(waiting):
        left = ends[waiting]
        _, first, end = np.unique(left, return_index=True, return_inverse=True)
        first = first[end.reshape(left.shape)] // 2
        is_served = (first == np.arange(len(left))[:, None]).all(axis=1)
        served.append(waiting[is_served])
        taken = np.isin(left, left[is_served]).any(axis=1)
        waiting = waiting[~taken]
    return np.concatenate([*served, np.zeros(0, int)])
