"""The smallest overlap that is good enough: found by trying, not derived."""

import dataclasses
import math
import numbers
from collections.abc import Callable, Iterator, Sequence

from keras_patching.geometry import round_up


@dataclasses.dataclass(frozen=True)
class TriedOverlap:
    """What an overlap costs, and how far it is from whole images.

    Attributes:
        overlap: `(height, width)`: pixels that neighbouring patches share.
        patch_size: `(height, width)` of the patches in pixels; `None` where
            they are as long as the image.
        recomputation: Pixels that are computed for each pixel of the image.
        largest_difference: As of `TilingReport`.
    """

    overlap: tuple[int, int]
    patch_size: tuple[int | None, int | None]
    recomputation: float
    largest_difference: float

    def __str__(self):
        return (
            f"overlap={self.overlap} in patches of {self.patch_size} computes "
            f"{self.recomputation:.2f} times the pixels and differs by "
            f"{self.largest_difference:.1e}"
        )


@dataclasses.dataclass(frozen=True)
class OverlapSearch:
    """Which overlaps were tried, and the smallest that is good enough.

    Attributes:
        tolerance: The largest difference that is good enough.
        tried: `TriedOverlap` of each, the smallest overlap first.
        smallest: The smallest of those tried that is good enough, all larger
            ones of them being so too; `None` if there is none: what differs
            less are patches as large as the image.
    """

    tolerance: float
    tried: tuple[TriedOverlap, ...]
    smallest: TriedOverlap | None

    def __str__(self):
        if self.smallest is not None:
            return (
                f"for differences of at most {self.tolerance:g}, "
                f"{self.smallest}"
            )
        return (
            f"no overlap is enough for differences of at most "
            f"{self.tolerance:g}: of the largest that was tried, "
            f"{self.tried[-1]}"
        )


def search_overlaps(
    try_overlap: Callable[..., TriedOverlap],
    candidates: Sequence[tuple],
    tolerance: float,
) -> OverlapSearch:
    """Find the smallest overlap that is good enough.

    Overlaps are doubled until one is, and those between it and the last that
    was not are bisected: a larger overlap is taken to differ less.

    Args:
        try_overlap: Takes a candidate.
        candidates: Overlaps, the smallest first; the first is none.
        tolerance: The largest difference that is good enough.
    """
    tried = {}

    def is_enough(index):
        tried[index] = try_overlap(*candidates[index])
        return tried[index].largest_difference <= tolerance

    last = len(candidates) - 1
    too_small, enough = -1, 0
    while not is_enough(enough):
        too_small = enough
        if enough == last:
            enough = None
            break
        enough = min(max(2 * enough, 1), last)
    while enough is not None and enough - too_small > 1:
        middle = (too_small + enough) // 2
        if is_enough(middle):
            enough = middle
        else:
            too_small = middle
    return OverlapSearch(
        tolerance,
        tuple(tried[index] for index in sorted(tried)),
        None if enough is None else tried[enough],
    )


def possible_overlaps(
    image_size: Sequence[int],
    patch_size: Sequence[int | None],
    stride: Sequence[int],
    may_grow: bool,
) -> Iterator[tuple]:
    """List overlaps with patches that are at least twice as long.

    Patches of which more is shared compute each pixel more than four times:
    larger ones then do better.

    Args:
        image_size: `(height, width)` in pixels.
        patch_size: Of the smallest patches; `None` for what is as long as the
            image.
        stride: What overlaps are multiples of.
        may_grow: Whether patches may be larger.

    Yields:
        Pairs of an overlap and a patch size, each `(height, width)`, until
        patches are as large as the image.
    """
    smallest = [
        None if length is None else round_up(length, step)
        for length, step in zip(patch_size, stride, strict=True)
    ]
    overlap = (0, 0)
    larger = tuple(smallest)
    while True:
        yield overlap, larger
        overlap = tuple(
            0 if length is None else shared + step
            for length, shared, step in zip(
                smallest, overlap, stride, strict=True
            )
        )
        larger = tuple(
            None if length is None else max(length, 2 * shared)
            for length, shared in zip(smallest, overlap, strict=True)
        )
        is_whole = all(
            length is None or length >= whole
            for length, whole in zip(larger, image_size, strict=True)
        )
        if is_whole or (larger != tuple(smallest) and not may_grow):
            return


def check_tolerance(tolerance):
    """Refuse what is no difference.

    Raises:
        ValueError: Unless it is a number, finite and not negative.
    """
    if (
        isinstance(tolerance, bool)
        or not isinstance(tolerance, numbers.Real)
        or not math.isfinite(tolerance)
        or tolerance < 0
    ):
        raise ValueError(
            "`tolerance` must be a number, the largest difference that is good "
            f"enough, such as 1e-3. Received: tolerance={tolerance!r}"
        )
