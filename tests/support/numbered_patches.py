"""A cache whose patches are told apart by their masks."""

import numpy as np

from keras_patching import load_dataset_from_directory_with_segmentation_masks
from keras_patching.data.images.image_io import write_image


def cut_numbered_patches(folder, count):
    """Cut patches of 4 x 4 pixels, each with its number in all of its mask.

    Args:
        folder: `pathlib.Path` of a folder that is there.
        count: Number of patches, a multiple of 4: each image has four.

    Returns:
        Path of the manifest.
    """
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for index in range(count // 4):
        image = rng.integers(1, 256, (8, 8, 1), dtype=np.uint8)
        numbers = np.arange(4, dtype="uint8").reshape(2, 2) + 4 * index
        mask = numbers.repeat(4, 0).repeat(4, 1)
        write_image(folder / "images" / f"{index}.png", image)
        write_image(folder / "masks" / f"{index}.png", mask)
    return load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        patch_size=4,
        channels=1,
        num_classes=count,
        verbose=False,
    ).manifest_path
