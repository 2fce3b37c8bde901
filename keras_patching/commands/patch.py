"""`keras-patching patch`."""

from keras_patching.commands.arguments import (
    FactorOrSize,
    OneOrTwo,
    channels_wanted,
    finite,
    integer_from,
    number,
)
from keras_patching.commands.dask_workers import add_dask, dask_executor


def add(commands):
    """Add the command to the subparsers of `argparse`."""
    parser = commands.add_parser(
        "patch",
        # Options first, as argparse writes it, would lead to a width that is
        # the name of a folder.
        usage="%(prog)s DIRNAME SEG_DIRNAME --patch-size H [W] [options]",
        help="cut images and their segmentation masks into cached patches",
        description=(
            "Cut a folder of images and a folder of segmentation masks into "
            "patches, without training. They are kept beside the images, in "
            "DIRNAME_patches, and found there by the loader of the same "
            "arguments; a second run cuts only what has changed. Needs no "
            "GPU."
        ),
    )
    parser.add_argument(
        "dirname",
        metavar="DIRNAME",
        help="folder of images: PNG, JPEG, TIFF, BMP, WebP or npy; subfolders "
        "are not searched",
    )
    parser.add_argument(
        "seg_dirname",
        metavar="SEG_DIRNAME",
        help="folder of their masks, of the same names without suffix: PNG, "
        "TIFF, BMP or npy of class ids (with two classes also 0 and 255), or "
        "RGB with the colors of classes in classes.csv beside them; or of "
        "LabelMe's JSON files, or a JSON file of COCO or VIA",
    )
    parser.add_argument(
        "--patch-size",
        type=integer_from(1),
        nargs="+",
        required=True,
        action=OneOrTwo,
        metavar=("H", "W"),
        help="height and width of a patch in pixels; one number is both",
    )
    parser.add_argument(
        "--num-classes",
        type=integer_from(2),
        metavar="N",
        help="number of classes, background included (default: those of a "
        "table beside the masks, such as classes.csv, else 2)",
    )
    parser.add_argument(
        "--ignore-value",
        type=integer_from(0),
        metavar="N",
        help="value of mask pixels without a label (default: none has)",
    )
    parser.add_argument(
        "--class-names",
        nargs="+",
        metavar="NAME",
        help="names of the classes, that of the background first, where the "
        "masks do not tell them (default: classes are numbered)",
    )
    parser.add_argument(
        "--class-ids",
        type=int,
        nargs="+",
        metavar="N",
        help="values of the classes in the masks, where they have gaps, as in "
        "`0 7 11` (default: 0, 1, 2 and so on)",
    )
    parser.add_argument(
        "--unlabelled",
        choices=("error", "skip", "empty"),
        default="error",
        help="what images without a mask are: an error, left out (skip), or "
        "all background (empty) (default: %(default)s)",
    )
    parser.add_argument(
        "--channels",
        type=channels_wanted,
        default=3,
        metavar="N",
        help="channels to convert images to (grey is repeated, alpha "
        "dropped), `grayscale` for one, also of colour, or `all` for those of "
        "the files (default: %(default)s)",
    )
    parser.add_argument(
        "--value-range",
        type=finite,
        nargs=2,
        default=(0, 255),
        metavar=("LOW", "HIGH"),
        help="pixel values of black and white; patches at the edge are "
        "filled with black; without --normalize nothing is scaled (default: "
        "0 255)",
    )
    parser.add_argument(
        "--normalize",
        choices=("percentile", "zscore"),
        help="scale each channel of an image by all of its pixels, whatever "
        "the range of the files: 1st percentile to black and 99.8th to white, "
        "or mean 0 and deviation 1; patches are float32 (default: values stay)",
    )
    parser.add_argument(
        "--resize",
        type=number,
        nargs="+",
        action=FactorOrSize,
        metavar="N",
        help="resize images and masks before they are cut: by a factor (`0.5` "
        "halves height and width), or to a height and a width in pixels (`512 "
        "768`) (default: they are left as they are)",
    )
    parser.add_argument(
        "--pad-mode",
        choices=("constant", "reflect", "edge"),
        default="constant",
        help="what fills patches at the edge: black, or the image mirrored, or "
        "its last pixels repeated; these two need an ignore value (default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--store",
        choices=("patches", "images"),
        default="patches",
        help="what to save: patches, or whole images with their masks, of "
        "which patches are cut when they are read, also at random positions "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--cache-dir",
        metavar="DIR",
        help="folder to keep the patches below, instead of beside the images",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="cut everything again, also what has not changed",
    )
    add_dask(parser)
    parser.set_defaults(
        run=_run,
        go_on="Run the same command again to go on: images that are cut "
        "already are kept.",
    )


def _run(options):
    with dask_executor(options.dask) as executor:
        _patch(options, executor)


def _patch(options, executor):
    from keras_patching.models.segmentation import loaders

    sequence = loaders.load_dataset_from_directory_with_segmentation_masks(
        options.dirname,
        options.seg_dirname,
        options.patch_size,
        num_classes=options.num_classes,
        ignore_value=options.ignore_value,
        class_names=options.class_names,
        class_ids=options.class_ids,
        unlabelled=options.unlabelled,
        channels=options.channels,
        value_range=options.value_range,
        normalize=options.normalize,
        resize=options.resize,
        pad_mode=options.pad_mode,
        store=options.store,
        cache_dir=options.cache_dir,
        overwrite=options.overwrite,
        executor=executor,
    )
    print(
        f"To train on them: PatchingSequence({str(sequence.manifest_path)!r})"
    )
