"""The kinds of shards: what each is, wherever it is checked, fed or shown.

A new kind is an entry here. A cache that has shards of it is then built,
checked, fed to Keras, drawn on contact sheets and exported. Shards are made
where the labels of a task return a `ShardPlan` of their kind, as in
`keras_patching/models/counting/heatmap_labels.py`. A new way to draw is a word
of `DRAWN` and a function of `contact_sheet`.
"""

import dataclasses

# How kinds are drawn; of these, pictures are exported as image files.
PICTURES = ("image", "mask", "heatmap")
DRAWN = (*PICTURES, "points", "boxes")


@dataclasses.dataclass(frozen=True)
class ShardKind:
    """What arrays of one kind are.

    Attributes:
        shape: Shape of the array of one patch, or of one image. "height" and
            "width" are those of a patch, `None` is any length.
        per_image: Whether a shard holds one array for the whole image instead
            of one per patch.
        fed: Whether batches are made of it. Arrays of patches are stacked, or
            padded first, see `padding`. One of a whole image must be its
            pixels in `strips`, which patches are cut out of.
        padding: Value of the rows that fill up arrays of patches that hold
            fewer than others; `None` where all patches are alike.
        drawn: What people see of it, on contact sheets and in exported files:
            one of `DRAWN`, or `None` for nothing. A cache has one kind of
            points and one of boxes at most.
        key: What it is called in patches and batches of several labels;
            `None` is the name of the kind.
    """

    shape: tuple
    per_image: bool = False
    fed: bool = True
    padding: int | None = None
    drawn: str | None = None
    key: str | None = None

    def __post_init__(self):
        if self.drawn not in (*DRAWN, None):
            raise ValueError(
                f"`drawn` must be one of {DRAWN}, or `None`. "
                f"Received: drawn={self.drawn!r}"
            )

    @property
    def is_cut(self):
        """Whether patches are cut out of it when they are read."""
        return self.per_image and self.fed

    def fits(self, shape, patch_size):
        """Tell whether an array has the shape that this kind has.

        Args:
            shape: Shape of the array of one patch, or of one image.
            patch_size: `(height, width)` in pixels.
        """
        lengths = dict(zip(("height", "width"), patch_size, strict=True))
        expected = [lengths.get(length, length) for length in self.shape]
        return len(shape) == len(expected) and all(
            wanted in (None, found)
            for wanted, found in zip(expected, shape, strict=True)
        )


SHARD_KINDS = {
    "images": ShardKind(("height", "width", None), drawn="image"),
    "whole_images": ShardKind(
        (None, None, None, None), per_image=True, drawn="image", key="images"
    ),
    "masks": ShardKind(("height", "width"), drawn="mask"),
    "whole_masks": ShardKind(
        (None, None, None), per_image=True, drawn="mask", key="masks"
    ),
    "heatmaps": ShardKind(("height", "width"), drawn="heatmap"),
    "whole_heatmaps": ShardKind(
        (None, None, None), per_image=True, drawn="heatmap", key="heatmaps"
    ),
    "boxes": ShardKind((None, 4), padding=-1, drawn="boxes"),
    "box_labels": ShardKind((None,), padding=-1, key="labels"),
    "points": ShardKind((None, 2), fed=False, padding=-1, drawn="points"),
    # Boxes of the whole image with their labels, to plan patches anew.
    "objects": ShardKind((None, 5), per_image=True, fed=False, padding=-1),
}


def shard_kind(name):
    """Give the entry of a kind.

    Raises:
        ValueError: If there is none.
    """
    if name not in SHARD_KINDS:
        raise ValueError(
            f"There is no kind of shards {name!r}, only {list(SHARD_KINDS)}."
        )
    return SHARD_KINDS[name]


def key_of(name):
    """Give what a kind is called in patches and in batches."""
    return shard_kind(name).key or name


def keys_drawn(names, *drawn):
    """Give the keys of those of some kinds that are drawn in one of some ways.

    Example:

    >>> keys_drawn(["whole_images", "boxes", "box_labels"], *PICTURES)
    ['images']
    """
    return [key_of(name) for name in names if shard_kind(name).drawn in drawn]
