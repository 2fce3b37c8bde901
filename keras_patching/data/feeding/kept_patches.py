"""Which patches of a cache a sequence takes, and what of images they show."""

import numpy as np

from keras_patching.data.feeding.block_split import PARTS
from keras_patching.data.feeding.blocks import draw_blocks
from keras_patching.data.patches.shown_windows import shown_windows
from keras_patching.geometry import as_pair


def check_split(split, subset):
    """Refuse a part that a split does not make.

    Args:
        split: `BlockSplit`, or `None`.
        subset: Name of the part.

    Raises:
        ValueError: If there is no such part.
    """
    if subset not in PARTS or (
        subset != "training"
        and (split is None or (subset == "test" and split.test_split is None))
    ):
        raise ValueError(
            f"`subset` must be one of {(*PARTS,)}, and other ones than "
            '"training" need a `split` that makes them, a "test" one with a '
            f"`test_split`. Received: subset={subset!r}, split={split}"
        )


def parts_of_patches(
    split, sources, sizes, patch_size, pad_mode="constant", origins=None
):
    """Tell which part each patch is of.

    Args:
        split: `BlockSplit`.
        sources: List of `Source`.
        sizes: Dict from the name of each to its `(height, width)` in pixels.
        patch_size: `(height, width)` in pixels.
        pad_mode: How images are padded.
        origins: List with the pairs `(y, x)` of the patches of each source;
            `None` takes those that they have.

    Returns:
        Integers `(patches,)` of all sources, see `parts_of_image`.

    Raises:
        ValueError: If images of a group differ in size.
    """
    if split.groups is not None:
        check_groups(split.groups, sizes)
    origins = [each.origins for each in sources] if origins is None else origins
    return np.concatenate(
        [
            parts_of_image(
                split,
                source.name,
                sizes[source.name],
                patch_size,
                places,
                set(source.stages) <= {"tile"},
                pad_mode,
            )
            for source, places in zip(sources, origins, strict=True)
        ]
    )


def parts_of_image(
    split, name, image_size, patch_size, origins, is_tiled, pad_mode="constant"
):
    """Tell which part each patch of an image is of.

    Args:
        split: `BlockSplit`.
        name: Name of the image.
        image_size: `(height, width)` in pixels.
        patch_size: `(height, width)` in pixels.
        origins: Pairs `(y, x)` per patch.
        is_tiled: Whether the patches tile the image.
        pad_mode: How the image is padded.

    Returns:
        Integers `(patches,)`: one of `PARTS`, or -1 of what is left out.
    """
    blocks = blocks_of_image(split, name, image_size, patch_size, is_tiled)
    if blocks is None:
        return np.full(len(origins), PARTS["training"])
    windows = shown_windows(image_size, origins, patch_size, pad_mode)
    return blocks.parts_of(windows)


def blocks_of_image(split, name, image_size, patch_size, is_tiled):
    """Give the `Blocks` of an image; `None` where it is not divided.

    Args:
        split, name, image_size, patch_size, is_tiled: As for `parts_of_image`.
    """
    group = name if split.groups is None else split.groups(name)
    block_size = split.block_size
    return draw_blocks(
        tuple(map(int, image_size)),
        tuple(map(int, patch_size)),
        (*split.shares.values(),),
        as_pair(split.guard, "guard"),
        f"{int(split.seed or 0)}\0{group!r}",
        None if block_size is None else as_pair(block_size, "block_size"),
        is_tiled,
    )


def check_groups(groups, sizes):
    """Refuse groups of images that differ in size.

    Args:
        groups: Function from the name of an image to its group.
        sizes: Dict from the name of an image to its `(height, width)`.

    Raises:
        ValueError: If one differs from another of its group.
    """
    known = {}
    for name, size in sizes.items():
        other, expected = known.setdefault(repr(groups(name)), (name, size))
        if tuple(size) != tuple(expected):
            raise ValueError(
                "Images of one group have the same blocks, so they must be of "
                f"one size: {other} has {tuple(expected)} pixels, {name} has "
                f"{tuple(size)}. Give them groups of their own, or split by "
                f"images. Received: groups={groups}"
            )


def describe_parts(parts, split, subsets, where):
    """Say how many patches each part has, and how many are left out.

    Args:
        parts: As of `parts_of_patches`.
        split: `BlockSplit`.
        subsets: Names of the parts that are wanted.
        where: What messages begin with.

    Raises:
        ValueError: If one of these has no patches.
    """
    counts = {
        part: int((parts == number).sum()) for part, number in PARTS.items()
    }
    for subset in subsets:
        if not counts[subset]:
            raise _nothing_kept(where, subset, split, len(parts))
    if split.test_split is None:
        del counts["test"]
    left_out = len(parts) - sum(counts.values())
    listed = ", ".join(f"{n} for {part}" for part, n in counts.items())
    return (
        f"Of {len(parts)} patches {listed}; {left_out} "
        f"({left_out / len(parts):.0%}) are left out, which lie across the "
        f"border of a block or come nearer than {as_pair(split.guard, 'guard')}"
        " pixels to those of another part."
    )


def keep(split, subset, manifest, sources, origins, where):
    """Tell which patches a part has.

    Args:
        split: `BlockSplit`; `None` keeps all.
        subset: Name of the part.
        manifest: The `Manifest`.
        sources: List of its `Source`.
        origins: List with the pairs `(y, x)` of the patches of each.
        where: What messages begin with.

    Returns:
        Bool array `(patches,)` of the patches of all sources.

    Raises:
        ValueError: If it has none, or images of a group differ in size.
    """
    if split is None:
        return np.ones(sum(map(len, origins)), bool)
    parts = parts_of_patches(
        split,
        sources,
        {each.name: manifest.image_size(each) for each in sources},
        manifest.patch_size,
        manifest.parameters.get("pad_mode", "constant"),
        origins,
    )
    kept = parts == PARTS[subset]
    if not kept.any():
        raise _nothing_kept(where, subset, split, len(kept))
    return kept


def _nothing_kept(where, subset, split, count):
    return ValueError(
        f"{where}: of {count} patches none is for {subset}. Images are too "
        "small to be divided into blocks that are so far apart: use smaller "
        "patches or a smaller `guard`, another `seed` or `block_size`, or "
        f"split by whole images. Received: {split}"
    )


def patch_boxes(manifest, sources, origins, kept, crops=None):
    """Give what patches show of each image.

    Args:
        manifest, sources, origins: As for `keep`.
        kept: Bool array `(patches,)` of those of all sources.
        crops: `RandomCrops` that are shown instead of tiles, if there are.

    Returns:
        Dict from the name of an image to integers `(n, 4)`, xyxy in its
        pixels, where any of its patches is kept.
    """
    ends = np.cumsum([len(each) for each in origins])[:-1]
    boxes = {}
    for index, (source, places, mine) in enumerate(
        zip(sources, origins, np.split(kept, ends), strict=True)
    ):
        places = np.asarray(places, int).reshape(-1, 2)[mine]
        if crops is not None:
            windows = crops.boxes(index, places)
        else:
            windows = shown_windows(
                manifest.image_size(source),
                places,
                manifest.patch_size,
                manifest.parameters.get("pad_mode", "constant"),
            )
        if len(windows):
            boxes[source.name] = windows[:, [1, 0, 3, 2]]
    return boxes
