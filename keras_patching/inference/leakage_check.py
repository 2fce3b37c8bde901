"""Has a net seen in training what it is judged on? Counted in pixels."""

import dataclasses

import keras
import numpy as np

from keras_patching._printing import say
from keras_patching.data.feeding.image_sequence import ImageSequence
from keras_patching.data.feeding.patching_sequence import PatchingSequence
from keras_patching.inference.covered_pixels import count_pixels
from keras_patching.inference.tiling_verification import find_predictor
from keras_patching.receptive_fields.reach import find_reach


@dataclasses.dataclass(frozen=True)
class LeakageReport:
    """How many pixels of validation patches a training has seen.

    Attributes:
        pixels: Number of pixels that validation patches show, each counted
            once.
        seen: Number of these that training patches show too.
        within_reach: Number of these from which the net looks at a pixel that
            training patches show, those in `seen` included; `None` without a
            model.
        reach: `(height, width)` in pixels: how far the net looks; `None`
            without a model.
        by_image: Dict from the name of a validation image that is not clean to
            a dict with its `"pixels"`, `"seen"`, with a model `"within_reach"`,
            and `"seen_in"`, the names of the images of training that show the
            same.

    Example:

    >>> sequence = keras_patching.PatchingSequence("field/images_patches")
    >>> report = keras_patching.check_leakage(sequence, sequence, verbose=False)
    >>> report.seen == report.pixels, report.seen_fraction
    (True, 1.0)
    """

    pixels: int
    seen: int
    within_reach: int | None
    reach: tuple[int, int] | None
    by_image: dict[str, dict]

    @property
    def seen_fraction(self) -> float:
        """`seen` as a share of `pixels`, from 0 to 1."""
        return self.seen / self.pixels

    @property
    def within_reach_fraction(self) -> float | None:
        """`within_reach` as a share of `pixels`; `None` without a model."""
        if self.within_reach is None:
            return None
        return self.within_reach / self.pixels

    def describe(self) -> str:
        """Say it in a line."""
        near = ""
        if self.within_reach is not None:
            near = (
                f"; {self.within_reach} ({self.within_reach_fraction:.1%}) are "
                f"within the reach of the net, {self.reach}, of what it has"
            )
        first = next(iter(self.by_image), None)
        where = ""
        if first is not None:
            held = ", ".join(self.by_image[first]["seen_in"][:2])
            where = (
                f". In {len(self.by_image)} images, the first is {first}, "
                f"which training has as {held}"
            )
        return (
            f"Training has seen {self.seen} of {self.pixels} pixels of "
            f"validation ({self.seen_fraction:.1%}){near}{where}."
        )


def check_leakage(
    train: PatchingSequence | ImageSequence,
    val: PatchingSequence | ImageSequence,
    model: keras.layers.Layer | None = None,
    verbose: bool = True,
) -> LeakageReport:
    """Count the pixels of validation patches that training has seen.

    Images are the same where their files are: those of one cache that have one
    name, or any two files of equal bytes, whatever they are called. (The same
    picture saved in two formats is not known as such.) What patches show is
    compared in pixels of the image, as `val` reads it where it is resized:
    padding is nothing, but for what `pad_mode="reflect"` shows again. Labels
    are not compared.

    It is 0 for what the loaders split, by images or by blocks, where no image
    is there twice; with blocks and the same model also within its reach.

    Args:
        train: `PatchingSequence`, or `ImageSequence`, that is trained on.
        val: Another, of the same or another cache; or one of a test.
        model: Task model, or another with a `PatchedPredictor`, or the patch
            model itself. How far it looks tells how many validation pixels
            have one that training has seen in their view.
        verbose: Whether to print the result, in one line.

    Returns:
        `LeakageReport`.

    Raises:
        ValueError: If `train` or `val` is no such sequence; or how far the
            model looks is not known.

    Example:

    >>> model = keras_patching.SemanticSegmentationModel(2, patch_size=64)
    >>> load = model.load_dataset_from_directory_with_segmentation_masks
    >>> train, val = load(
    ...     "field/images", "field/masks", validation_split=0.3, subset="both"
    ... )
    >>> report = keras_patching.check_leakage(train, val, model)
    >>> report.seen, report.within_reach
    (0, 0)
    """
    for name, sequence in (("train", train), ("val", val)):
        if not isinstance(sequence, (PatchingSequence, ImageSequence)):
            raise ValueError(
                f"`{name}` must be a `PatchingSequence`, what loaders return. "
                f"Received: {name}={type(sequence).__name__}"
            )
    patch_size = train.manifest.patch_size
    reach = None if model is None else _reach(model, patch_size)
    trained = _boxes_by_file(train)
    files, counts, by_image = val.files(), np.zeros(3, int), {}
    for name, boxes in val.patch_boxes().items():
        found, seen_in = _count(boxes, files[name], trained, reach)
        counts += found
        if any(found[1:]):
            by_image[name] = _as_entry(found, seen_in, reach)
    pixels, seen, near = counts.tolist()
    near = None if reach is None else near
    report = LeakageReport(pixels, seen, near, reach, by_image)
    if verbose:
        say(report.describe())
    return report


def _reach(model, patch_size):
    """Tell how far a model looks, `(height, width)` in pixels."""
    try:
        predictor = find_predictor(model)
    except ValueError:  # A patch model itself.
        return find_reach(model, None, patch_size)
    seen = predictor.predict_patch_size or predictor.patch_size or patch_size
    how = predictor.data_format, seen, predictor.stitch
    return find_reach(predictor.inference_layer(), *how)


def _boxes_by_file(sequence):
    """Give names and boxes of images, by each thing that tells a file."""
    known, files = {}, sequence.files()
    for name, boxes in sequence.patch_boxes().items():
        keys, size = files[name]
        for key in keys:
            known.setdefault(key, {})[name] = boxes, size
    return known


def _count(boxes, file, trained, reach):
    """Count the pixels of an image: all, those seen, those within reach."""
    same, (keys, size) = {}, file
    for key in keys:
        same.update(trained.get(key, {}))
    moved = [_moved(*each, size) for each in same.values()]
    seen = np.concatenate([np.zeros((0, 4), int), *moved])
    height, width = reach or (0, 0)
    near = seen + np.array([-width, -height, width, height])
    return count_pixels(boxes, [seen, near]), sorted(same)


def _moved(boxes, size, other_size):
    """Give what boxes touch where an image is read at another size."""
    size, other = size[::-1], other_size[::-1]
    low, high = boxes[:, :2] * other, boxes[:, 2:] * other
    return np.concatenate([low // size, -(-high // size)], axis=1)


def _as_entry(counts, seen_in, reach):
    pixels, seen, near = counts
    entry = {"pixels": pixels, "seen": seen}
    if reach is not None:
        entry["within_reach"] = near
    return {**entry, "seen_in": seen_in}
