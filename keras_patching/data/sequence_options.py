"""What the loaders of all tasks share."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

import numpy as np

from keras_patching.data.feeding.block_split import (
    BlockSplit,
    check_block_sizes,
)
from keras_patching.data.feeding.epoch_sampler import check_sampling
from keras_patching.data.feeding.image_sequence import ImageSequence
from keras_patching.data.feeding.kept_patches import (
    describe_parts,
    parts_of_patches,
)
from keras_patching.data.feeding.patching_sequence import PatchingSequence
from keras_patching.data.feeding.sequence_arguments import check_feeding
from keras_patching.data.feeding.splits import split_names
from keras_patching.data.whole_images import check_crop_size, open_images

# What loaders return.
Loaded: TypeAlias = (
    PatchingSequence
    | ImageSequence
    | tuple[PatchingSequence | ImageSequence, ...]
)

# The parts that each subset is.
_SUBSETS = {
    "training": ("training",),
    "validation": ("validation",),
    "both": ("training", "validation"),
    "test": ("test",),
    "all": ("training", "validation", "test"),
}

_SPLIT_BY = ("images", "blocks")

_PATCHES_PER_BATCH = 32

# Validation and test see every patch once, in order.
_AS_IT_IS = {"shuffle": False}


@dataclasses.dataclass(frozen=True)
class SequenceOptions:
    """How to feed a cache: the arguments that loaders hand on.

    Attributes:
        batch_size, shuffle, seed, augment, dtype, drop_remainder: As in
            `PatchingSequence`, as are foreground_fraction, foreground_classes,
            keep_empty and random_crops. Validation and test see every patch
            once, in order, as it is, also with `drop_remainder`.
        crop_size: "image" for whole images, or `(height, width)` of the crops
            of them that training sees; `None` for patches.
        validation_split: Fraction of the images for validation, or `None`.
        test_split: Fraction of them that neither sees, or `None`.
        subset: "training", "validation" or "both" with a `validation_split`,
            also "test" or "all" with a `test_split`, else `None`.
        groups: Function from an image's name to its group, as in
            `split_names` and `BlockSplit`.
        split_by: Whether parts are of whole "images", or of "blocks" of each.
        block_size, guard: As in `BlockSplit`; a `guard` of `None` is the size
            of a patch.
    """

    batch_size: int | None = None
    crop_size: Literal["image"] | int | Sequence[int] | None = None
    shuffle: bool = True
    seed: int | None = None
    validation_split: float | None = None
    test_split: float | None = None
    subset: Literal["training", "validation", "both", "test", "all"] | None = (
        None
    )
    groups: Callable[[str], object] | None = None
    split_by: Literal["images", "blocks"] = "images"
    block_size: int | Sequence[int] | None = None
    guard: int | Sequence[int] | None = None
    augment: bool | Callable = False
    foreground_fraction: float | None = None
    foreground_classes: Sequence[int] | None = None
    keep_empty: float = 1.0
    random_crops: bool = False
    dtype: str | type | np.dtype | None = None
    drop_remainder: bool = False

    def __post_init__(self):
        batch_size = 1 if self.batch_size is None else self.batch_size
        check_feeding(batch_size, self.seed, self.dtype, self.augment)
        check_sampling(
            self.foreground_fraction, self.foreground_classes, self.keep_empty
        )
        received = (
            f"Received: validation_split={self.validation_split}, "
            f"test_split={self.test_split}, subset={self.subset!r}"
        )
        if self.subset not in (None, *_SUBSETS):
            known = (None, *_SUBSETS)
            raise ValueError(f"`subset` must be one of {known}. {received}")
        if (self.validation_split is None) != (self.subset is None):
            raise ValueError(
                "`validation_split` and `subset` must be given together: the "
                "split says how much, the subset which part to load ("
                f'"training", "validation" or "both"). {received}'
            )
        if self.test_split is None and "test" in _SUBSETS.get(self.subset, ()):
            raise ValueError(
                f"subset={self.subset!r} needs a `test_split`, the fraction "
                f"of the images in the test set. {received}"
            )
        if self.test_split is not None and self.validation_split is None:
            raise ValueError(
                "`test_split` goes with a `validation_split` and a `subset`, "
                'such as "all". To split off one part only, use '
                f"`validation_split`. {received}"
            )
        if self.groups is not None and self.subset is None:
            raise ValueError(
                "`groups` says what a split keeps together, so it needs "
                f"`validation_split` and `subset`. {received}"
            )
        self._check_blocks(received)
        check_crop_size(self)

    def _check_blocks(self, received):
        if self.split_by not in _SPLIT_BY:
            raise ValueError(
                f"`split_by` must be one of {_SPLIT_BY}. Received: "
                f"split_by={self.split_by!r}"
            )
        check_block_sizes(self.block_size, self.guard)
        if self.split_by == "blocks":
            if self.subset is None:
                raise ValueError(
                    'split_by="blocks" needs a `validation_split` and a '
                    f"`subset`. {received}"
                )
            return
        for name in ("block_size", "guard"):
            if getattr(self, name) is not None:
                raise ValueError(
                    f"`{name}` is that of blocks, and the split is by whole "
                    'images: pass split_by="blocks" too. Received: '
                    f"{name}={getattr(self, name)}"
                )

    def split(self, names):
        """Decide which images go into which sequence.

        It comes before patches are cut: a split that is not possible fails
        early.

        Args:
            names: Names of all images, relative to the image folder.

        Returns:
            Dict from "training", "validation" and "test", as far as `subset`
            asks for them, to names; `None` for all.
        """
        if self.subset is None:
            return {"training": names}
        if self.split_by == "blocks":
            return dict.fromkeys(_SUBSETS[self.subset])
        parts = split_names(
            names,
            self.validation_split,
            self.seed,
            self.groups,
            self.test_split,
        )
        found = dict(zip(_SUBSETS["all"], parts, strict=False))
        return {part: found[part] for part in _SUBSETS[self.subset]}

    def block_split(self, patch_size):
        """Give the `BlockSplit` that is meant, or `None`."""
        if self.split_by != "blocks":
            return None
        return BlockSplit(
            self.validation_split,
            self.test_split,
            self.seed,
            self.block_size,
            patch_size if self.guard is None else self.guard,
            self.groups,
        )

    def describe(self, parts, where, patch_size, pad_mode, sources, sizes):
        """Describe the split as Keras does, if there is one.

        Args:
            parts: What `split` gave.
            where: Folder of the images.
            patch_size: `(height, width)` in pixels.
            pad_mode: How images are padded.
            sources: List of the `Source` of each image, as planned.
            sizes: Dict from the name of each to its `(height, width)`.

        Returns:
            List of sentences.

        Raises:
            ValueError: If a part has no patches, or images of a group of
                blocks differ in size.
        """
        if self.subset is None:
            return []
        blocks = self.block_split(patch_size)
        if blocks is None:
            return [
                f"Using {len(names)} images for {part}."
                for part, names in parts.items()
            ]
        found = parts_of_patches(blocks, sources, sizes, patch_size, pad_mode)
        return [describe_parts(found, blocks, parts, where)]

    def open(self, cache, parts, patch_size):
        """Open the sequence of a cache, or a tuple of one for each part.

        Args:
            cache: `BuiltCache`, or the path of a manifest.
            parts: What `split` gave.
            patch_size: `(height, width)` in pixels.
        """
        if self.crop_size is not None:
            sequences = [
                open_images(self, cache, *part) for part in parts.items()
            ]
        else:
            blocks = self.block_split(patch_size)
            sequences = [
                self._open_patches(cache, *part, blocks)
                for part in parts.items()
            ]
        return sequences[0] if len(sequences) == 1 else tuple(sequences)

    def _open_patches(self, cache, part, names, blocks):
        return PatchingSequence(
            cache,
            batch_size=self.batch_size or _PATCHES_PER_BATCH,
            seed=self.seed,
            names=names,
            split=blocks,
            subset="training" if blocks is None else part,
            dtype=self.dtype,
            **(self._for_training() if part == "training" else _AS_IT_IS),
        )

    def _for_training(self):
        return {
            "shuffle": self.shuffle,
            "augment": self.augment,
            "foreground_fraction": self.foreground_fraction,
            "foreground_classes": self.foreground_classes,
            "keep_empty": self.keep_empty,
            "random_crops": self.random_crops,
            "drop_remainder": self.drop_remainder,
        }
