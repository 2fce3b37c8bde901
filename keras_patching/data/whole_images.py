"""The `crop_size` of loaders: whole images, or crops of any size."""

from keras_patching.data.feeding.image_sequence import ImageSequence
from keras_patching.geometry import as_positive_pair

WHOLE = "image"
# What chooses patches, and what it is where it is left out.
_OF_PATCHES = {
    "foreground_fraction": None,
    "foreground_classes": None,
    "keep_empty": 1.0,
    "random_crops": False,
}


def check_crop_size(options):
    """Refuse a `crop_size` that is none, and what does not go with it.

    Args:
        options: `SequenceOptions`.

    Raises:
        ValueError: Says what would do.
    """
    if options.crop_size is None:
        return
    received = f"Received: crop_size={options.crop_size!r}"
    if isinstance(options.crop_size, str):
        if options.crop_size != WHOLE:
            raise ValueError(
                f'`crop_size` must be "{WHOLE}" for whole images, or (height, '
                f"width) of crops in pixels. {received}"
            )
    else:
        as_positive_pair(options.crop_size, "crop_size")
    if options.split_by == "blocks":
        raise ValueError(
            "Whole images, and crops of any size, show pixels of all blocks: "
            "validation would be trained on. Split by whole images, or train "
            f"on patches, without a `crop_size`. {received}, "
            "split_by='blocks'"
        )
    for name, unset in _OF_PATCHES.items():
        value = getattr(options, name)
        if value != unset:
            raise ValueError(
                f"`{name}` chooses patches, and with a `crop_size` there are "
                f"none: leave it out. {received}, {name}={value}"
            )


def open_images(options, cache, part, names):
    """Open the sequence of a part of a data set.

    Args:
        options: `SequenceOptions` with a `crop_size`.
        cache: `BuiltCache`, or the path of a manifest.
        part: "training", "validation" or "test". Only training sees crops;
            the others see whole images, in order.
        names: Names of its images.

    Returns:
        `ImageSequence`.
    """
    is_whole = options.crop_size == WHOLE
    for_training = {
        "crop_size": None if is_whole else options.crop_size,
        "shuffle": options.shuffle,
        "augment": options.augment,
        "drop_remainder": options.drop_remainder,
    }
    is_training = part == "training"
    # The size of a batch is that of crops, or of whole images.
    batch_size = options.batch_size or (1 if is_whole else 32)
    return ImageSequence(
        cache,
        batch_size if is_training or is_whole else 1,
        seed=options.seed,
        names=names,
        dtype=options.dtype,
        **(for_training if is_training else {"shuffle": False}),
    )
