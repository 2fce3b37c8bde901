"""Splits of images into blocks, for people who have one large image, or few."""

import dataclasses
from collections.abc import Callable, Sequence

from keras_patching._checks import check_optional
from keras_patching.data.feeding.blocks import (
    TEST,
    TRAINING,
    VALIDATION,
)
from keras_patching.data.feeding.splits import check_shares
from keras_patching.geometry import as_pair, as_positive_pair

PARTS = {"training": TRAINING, "validation": VALIDATION, "test": TEST}


@dataclasses.dataclass(frozen=True)
class BlockSplit:
    """A split in space: each image is divided into blocks.

    Blocks are drawn for validation and test until these are as large as they
    can nearly be, spread over the image. Patches of validation lie in blocks
    of validation, those of test in blocks of test. No pixel that a patch of
    one part shows has one that a patch of another shows within `guard` pixels,
    along both axes; patches that would are left out: of training before those
    of test, of test before those of validation. So a net that looks `guard`
    pixels far sees nothing around a patch of validation that it was trained
    on, also where it predicts the whole image.

    Where patches tile an image, blocks are of whole patches. Which block is of
    which part depends on the arguments here, the size and the name of an
    image, and the size of patches, on nothing else: not on epochs or other
    images. An image that is too small to be divided is for training.

    Args:
        validation_split: Wanted fraction of each image for validation.
        test_split: Wanted fraction of each for the test; `None` makes none.
        seed: Integer that decides which blocks they are; `None` is 0.
        block_size: `(height, width)` of a block in pixels, about, or one
            integer. `None` makes blocks as small as they can be while patches
            that are left out are at most a quarter of those beside validation.
        guard: Pixels, a pair `(height, width)` or one integer. How far a net
            looks is `keras_patching.receptive_field(net).halo`.
        groups: Function from an image's name to its group. Images of one
            group, which show one place (as the same field on other days), have
            the same blocks, and so must be of one size.

    Raises:
        ValueError: If an argument is not as above.

    Example:

    >>> import keras_patching as kp
    >>> load = kp.load_dataset_from_directory_with_segmentation_masks
    >>> whole = load("field/images", "field/masks", patch_size=16)
    >>> split = kp.data.BlockSplit(0.25, guard=8)
    >>> train, val = (
    ...     kp.PatchingSequence(
    ...         whole.manifest_path, split=split, subset=subset
    ...     )
    ...     for subset in ("training", "validation")
    ... )
    >>> kp.check_leakage(train, val, verbose=False).seen
    0
    """

    validation_split: float
    test_split: float | None = None
    seed: int | None = None
    block_size: int | Sequence[int] | None = None
    guard: int | Sequence[int] = 0
    groups: Callable[[str], object] | None = None

    def __post_init__(self) -> None:
        check_shares(self.shares)
        check_optional(self.seed, "seed", 0)
        check_block_sizes(self.block_size, self.guard)

    @property
    def shares(self) -> dict[str, float]:
        """What is wanted of each part but training, by its argument."""
        shares = {
            "validation_split": self.validation_split,
            "test_split": self.test_split,
        }
        return {name: each for name, each in shares.items() if each is not None}


def check_block_sizes(block_size, guard):
    """Refuse what is no size of blocks, or no guard.

    Raises:
        ValueError: If one is not as in `BlockSplit`.
    """
    if block_size is not None:
        as_positive_pair(block_size, "block_size")
    if guard is not None and min(as_pair(guard, "guard")) < 0:
        raise ValueError(
            "`guard` must be at least 0, (height, width) in pixels. "
            f"Received: guard={guard}"
        )
