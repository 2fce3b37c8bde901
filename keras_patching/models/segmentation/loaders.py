"""Loads folders of images and segmentation masks."""

import concurrent.futures
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from keras_patching._types import Color
from keras_patching.data.labels.class_table_files import find_class_table
from keras_patching.data.labels.files import check_unlabelled
from keras_patching.data.labels.mask_classes import given_classes
from keras_patching.data.labels.mask_shapes import (
    are_shapes,
    read_mask_shapes,
)
from keras_patching.data.labels.nnunet import read_nnunet_classes
from keras_patching.data.labels.pairing import pair_by_stem
from keras_patching.data.loader_options import loader
from keras_patching.data.patched_dataset import load_patched_dataset
from keras_patching.data.sequence_options import Loaded
from keras_patching.models.segmentation.mask_labels import (
    DrawnMasks,
    MaskLabels,
)

TASK = "segmentation"


@loader
def load_dataset_from_directory_with_segmentation_masks(
    dirname: str | os.PathLike,
    seg_dirname: str | os.PathLike,
    patch_size: int | Sequence[int],
    *,
    num_classes: int | None = None,
    ignore_value: int | None = None,
    class_names: Sequence[str] | None = None,
    class_colors: Mapping[str, Color]
    | Sequence[Color]
    | str
    | os.PathLike
    | None = None,
    class_ids: Sequence[int] | Mapping[int, int] | None = None,
    unlabelled: str = "error",
    channels: int | Literal["grayscale"] | None = 3,
    value_range: Sequence[float] = (0, 255),
    normalize: Literal["percentile", "zscore"] | None = None,
    resize: float | Sequence[int] | None = None,
    pad_mode: str = "constant",
    batch_size: int | None = None,
    crop_size: Literal["image"] | int | Sequence[int] | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    test_split: float | None = None,
    subset: (
        Literal["training", "validation", "both", "test", "all"] | None
    ) = None,
    groups: Callable[[str], object] | None = None,
    split_by: Literal["images", "blocks"] = "images",
    block_size: int | Sequence[int] | None = None,
    guard: int | Sequence[int] | None = None,
    store: Literal["patches", "images"] = "patches",
    cache_dir: str | os.PathLike | None = None,
    overwrite: bool = False,
    executor: concurrent.futures.Executor | None = None,
    augment: bool | Callable = False,
    foreground_fraction: float | None = None,
    foreground_classes: Sequence[int] | None = None,
    keep_empty: float = 1.0,
    random_crops: bool = False,
    dtype: str | type | np.dtype | None = None,
    drop_remainder: bool = False,
    verbose: bool = True,
) -> Loaded:
    """Load a folder of images and a folder of masks as patches for training.

    Images and masks are paired by name without suffix, where all masks may have
    one more ending (`a_mask.png` for `a.png`, also in one folder), as in
    folders of nnU-Net all images (`a_0000.png`). They are cut into tiles
    without overlap, padded at the bottom and right with black
    (`value_range[0]`), the masks with `ignore_value` or 0. The patches are
    saved in `<dirname>_patches`; a second call finds them there and cuts only
    what has changed.

    Args:
        dirname: Folder of images. Subfolders are not searched.
        seg_dirname: Folder of masks: PNG, TIFF, BMP or npy of class ids, also
            with a palette, whose colours are kept; with two classes also 0
            and 255. RGB is read by the colours of the classes. These, and the
            names and ids of classes, are taken from a table beside the masks
            too: `classes.csv` (`name,r,g,b`, or `name,id`, or both),
            CamVid's `class_dict.csv` or `label_colors.txt`, or nnU-Net's
            `dataset.json` in the folder above. Or a folder of JSON files of
            LabelMe, which may be that of the images, or the name or path of a
            JSON file of COCO or of the VGG Image Annotator: their shapes are
            drawn, each over those before it, as are the polygons of one
            GeoJSON file in map coordinates of georeferenced images; a pixel is
            of a shape that its center is in, and of class 0 where none is.
        patch_size: `(height, width)` in pixels, or one integer.
        num_classes: Number of classes, background included; `None` takes what
            the table or other arguments tell, or 2.
        ignore_value: Value of unlabelled pixels in the masks, and of those
            where a TIFF has no data. Crowds of COCO
            and what LabelMe calls `__ignore__` get it.
        class_names: Names of the classes, that of class 0 first; `None` takes
            those of the table or of COCO, if there is one. Of several labels
            of LabelMe or VIA they must be given.
        class_colors: Colours of the classes in RGB masks and in pictures:
            `{"soil": (0, 0, 0), "crop": (0, 255, 0)}`, or a sequence of RGB,
            or the path of a table; one more than there are classes is that of
            unlabelled pixels. `None` takes those of the table or the palette.
        class_ids: Values of the classes in the masks, where they have gaps:
            `[0, 7, 11]`; or a dict from value to class, in which several
            values may be one class or `ignore_value`. Batches hold classes.
        unlabelled: What images without labels are: an `"error"`; left out,
            `"skip"`; or all of class 0, `"empty"`.
        channels: Channels that images are converted to (grey repeated, alpha
            dropped). "grayscale" makes one channel, also of colour; `None`
            keeps those of the files.
        value_range: Values `(black, white)` of the images. They are not
            scaled but by `normalize`.
        normalize: What scales the values of each channel of an image, before
            it is cut, by all of the image: files may be of any dtypes and
            ranges, and patches are float32, four times the disk of 8 bits.
            `"percentile"` makes the 1st percentile black and the 99.8th
            white, of `value_range`; what is beyond is not clipped. `"zscore"`
            makes the mean 0 and the standard deviation 1; `value_range` is
            (-3, 3) then, so that padding is -3. Pixels that are none (NaN,
            the nodata value of a TIFF, transparent ones) do not count, and
            become black; a channel that is all alike becomes black, or 0.
            Images of more than 4 million pixels are judged by 256 windows
            of 128 x 128 pixels, spread evenly, the same ones each time. A
            model of the same `normalize` does the same as it predicts.
            `None` takes values as they are.
        resize: Factor that images are resized by before they are cut (0.5
            halves height and width), or `(height, width)` of every image;
            `None` leaves them. They are averaged where that makes them
            smaller, integers are rounded. Masks follow by the nearest pixel,
            points, boxes and shapes are moved, heatmaps keep their sum.
            Patches, batches and `patch_size` are in resized pixels.
        pad_mode: What patches hold beyond the image: `"constant"` is black,
            `"reflect"` mirrors the image at its last pixel, `"edge"` repeats
            that. As no mask tells what these show, they need an
            `ignore_value`, and a model of the same `pad_mode`.
        batch_size: Number of patches per batch, `None` is 32; with a
            `crop_size` of crops, 32, or of whole images, 1. Those that crops
            are validated and tested on come one by one.
        crop_size: `None` gives patches. `"image"` gives whole images, padded
            to the size of the largest with weight 0, and `(height, width)`
            crops of that size to train on, at other places in each epoch, and
            whole images to validate and test on: as `ImageSequence` says. A
            model with `overlap="auto"` trains on each as a whole. It takes
            `store="images"` by itself, and any `patch_size` gives the same.
        shuffle: Whether to shuffle the training patches in each epoch.
        seed: Integer that decides the split, orders and augmentations.
            `None` draws orders and augmentations anew, but not the split.
        validation_split: Fraction of the images for validation. No image has
            patches on both sides.
        test_split: Fraction of the images that neither sees, for a last
            judgement. Validation is the same with and without it.
        subset: "training", "validation" or "both", with a
            `validation_split`; with a `test_split` also "test", or "all" for
            the three.
        groups: Function from an image's file name to its group. Images of
            one group stay on one side of the split; of `"blocks"`, they have
            the same blocks.
        split_by: Whether whole `"images"` are split; or each image into
            `"blocks"`, as `keras_patching.data.BlockSplit` says, where there
            is one large image or few. Fractions are those of each image then.
        block_size: `(height, width)` of a block in pixels, about, or one
            integer; `None` makes blocks as small as they can be while little
            is left out.
        guard: Pixels, a pair or one integer, that patches of one block are
            away from those of another at least; what comes nearer is left
            out. `None` is as far as the net of the model looks; where that is
            not known, or there is no model, it is the size of a patch.
        store: What is saved: `"patches"`, or each of the whole `"images"`,
            decoded, with its labels; then patches are cut when they are read.
            Batches are the same. Whole images take as much as tiles without
            padding; patches that overlap, as those of a detector, and those
            at random positions, take a fraction of what they would if saved.
        cache_dir: Folder to keep the patches below, instead of beside the
            images.
        overwrite: Whether to cut everything again.
        executor: `concurrent.futures.Executor` that cuts; `None` is a pool
            of at most 4 threads.
        augment: `True` flips, quarter-turns and brightens the training
            patches, image and mask together. Or a function from a batch
            `(images, masks)`, with a `crop_size` and padding `(images, masks,
            weights)`, to the same.
        foreground_fraction: Fraction of the training patches of an epoch that
            hold a wanted class, for classes that are rare. `None` takes each
            patch as often as any other.
        foreground_classes: The wanted classes; `None` is all but class 0.
        keep_empty: Fraction of the training patches without a wanted class
            that an epoch sees, others in the next.
        random_crops: Whether training patches are cut at other places in each
            epoch, with `store="images"`: each tile is moved by up to half a
            patch each way, inside of its image, and of its part of a split.
            An epoch has as many crops as there are tiles. What holds a wanted
            class is as with tiles: see `PatchingSequence`.
        dtype: Dtype of the images in a batch; `None` keeps that of the files.
        drop_remainder: Whether to leave out a last batch that is smaller, in
            training; validation and test see every patch.
        verbose: Whether to print what is cut and found.

    Returns:
        A `PatchingSequence`, with a `crop_size` an `ImageSequence`; with
        `subset="both"` a pair of them, for training and validation, and with
        "all" a third for the test. Batches are `(images, masks)`: `(batch,
        height, width, channels)` in the files' dtype, and `(batch, height,
        width)` class ids in the smallest unsigned dtype.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If images and masks do not fit together or cannot be read;
            lists the files.

    Example:

    >>> train, val = (
    ...     keras_patching.load_dataset_from_directory_with_segmentation_masks(
    ...         "field/images",
    ...         "field/masks",
    ...         patch_size=128,
    ...         validation_split=0.3,
    ...         subset="both",
    ...     )
    ... )
    >>> train.num_samples, val.num_samples
    (8, 4)
    """
    check_unlabelled(unlabelled)
    given = num_classes, ignore_value, class_names, class_colors, class_ids
    read = _read_shapes if are_shapes(dirname, seg_dirname) else _read_masks
    images, left_out, labels = read(dirname, seg_dirname, given, unlabelled)
    _check_padding(pad_mode, labels.classes.ignore_value)
    return load_patched_dataset(
        TASK,
        dirname,
        images,
        labels,
        patch_size,
        left_out=left_out,
        classes=lambda: labels.classes.to_json(),
        channels=channels,
        value_range=value_range,
        normalize=normalize,
        resize=resize,
        pad_mode=pad_mode,
        batch_size=batch_size,
        crop_size=crop_size,
        shuffle=shuffle,
        seed=seed,
        validation_split=validation_split,
        test_split=test_split,
        subset=subset,
        groups=groups,
        split_by=split_by,
        block_size=block_size,
        guard=guard,
        store=store,
        cache_dir=cache_dir,
        overwrite=overwrite,
        executor=executor,
        augment=augment,
        foreground_fraction=foreground_fraction,
        foreground_classes=foreground_classes,
        keep_empty=keep_empty,
        random_crops=random_crops,
        dtype=dtype,
        drop_remainder=drop_remainder,
        verbose=verbose,
    )


def _read_masks(dirname, seg_dirname, given, unlabelled):
    """Give images, names of those without a mask, and labels."""
    pairs = pair_by_stem(dirname, seg_dirname, "mask", unlabelled)
    masks = {
        image: mask for image, mask in pairs if mask or unlabelled == "empty"
    }
    _, ignore_value, *_ = given
    table = find_class_table(seg_dirname)
    if table is None:
        table = read_nnunet_classes(seg_dirname, ignore_value)
    classes = given_classes(*given, table)
    left_out = [image.name for image, _ in pairs if image not in masks]
    labels = MaskLabels(masks, seg_dirname, classes, unlabelled)
    return list(masks), left_out, labels


def _read_shapes(dirname, path, given, unlabelled):
    """Give images, names of those without labels, and labels."""
    shapes = read_mask_shapes(dirname, path, *given, unlabelled=unlabelled)
    return list(shapes.drawn), shapes.left_out, DrawnMasks(shapes, unlabelled)


def _check_padding(pad_mode, ignore_value):
    """Refuse pixels that are shown again without a label of theirs."""
    if pad_mode != "constant" and ignore_value is None:
        raise ValueError(
            "Beyond an image a mask holds `ignore_value`, or class 0 where it "
            "is None: then a net would learn that what is mirrored there is "
            "of class 0. Pass an `ignore_value` that no class has, such as "
            f"255. Received: pad_mode={pad_mode!r}, ignore_value=None"
        )
