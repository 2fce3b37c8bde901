"""The command line: `keras-patching COMMAND`.

It parses arguments and calls; what a command needs is imported when it runs.
"""

import argparse
import sys

from keras_patching import __version__

_DESCRIPTION = """\
Train Keras models on patches of large images, predict whole images.

Begin with `keras-patching demo`, which needs no data: it trains a model in
minutes and writes pictures of what it found.
"""


def main(arguments=None):
    """Run a command.

    Args:
        arguments: List of strings; `None` takes those of the process.

    Returns:
        Exit status: 0, or 1 after an error, which is printed. Arguments that
        cannot be parsed exit with 2.
    """
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"keras-patching: error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        "keras-patching",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=f"%(prog)s {__version__}",
        help="print the version and exit",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    _add_demo(commands)
    _add_patch(commands)
    _add_clean(commands)
    _add_inspect(commands)
    _add_export(commands)
    _add_predict(commands)
    _add_verify(commands)
    return parser


def _add_demo(commands):
    parser = commands.add_parser(
        "demo",
        help="train on made-up images and predict whole ones, in minutes",
        description=(
            "Draw a small field of large plant images with labels, train a "
            "model on patches of them, predict whole images that it has not "
            "seen, and compare it with thresholding the colour. Prints each "
            "step with the call that it stands for. Needs no data, no GPU "
            "and no network."
        ),
    )
    parser.add_argument(
        "--task",
        choices=("segmentation", "counting", "detection"),
        default="segmentation",
        help="what to demonstrate: segmentation of plants, or counting or "
        "detection of seedlings (default: %(default)s)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        default="keras-patching-demo",
        help="folder to write images, patches, pictures and the model to, "
        "below the name of the task; made if missing, patches in it are used "
        "again (default: ./%(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=_integer_from(0),
        default=0,
        metavar="N",
        help="which field to draw, how to split it and where to start "
        "training: an integer from 0 (default: %(default)s)",
    )
    parser.add_argument(
        "--epochs",
        type=_integer_from(1),
        metavar="N",
        help="how often to go through all patches; more is better and slower "
        "(default: by the task, less than three minutes on two cores)",
    )
    parser.set_defaults(run=_run_demo)


def _run_demo(options):
    from keras_patching import demos

    chosen = {} if options.epochs is None else {"epochs": options.epochs}
    demos.TASKS[options.task](options.out, options.seed, **chosen)


def _add_patch(commands):
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
        "TIFF, BMP or npy of class ids (with two classes also 0 and 255)",
    )
    parser.add_argument(
        "--patch-size",
        type=_integer_from(1),
        nargs="+",
        required=True,
        action=_OneOrTwo,
        metavar=("H", "W"),
        help="height and width of a patch in pixels; one number is both",
    )
    parser.add_argument(
        "--num-classes",
        type=_integer_from(2),
        default=2,
        metavar="N",
        help="number of classes, background included (default: %(default)s)",
    )
    parser.add_argument(
        "--ignore-value",
        type=_integer_from(0),
        metavar="N",
        help="value of mask pixels without a label (default: none has)",
    )
    parser.add_argument(
        "--channels",
        type=_channels,
        default=3,
        metavar="N",
        help="channels to convert images to (grey is repeated, alpha "
        "dropped), or `all` for those of the files (default: %(default)s)",
    )
    parser.add_argument(
        "--value-range",
        type=float,
        nargs=2,
        default=(0, 255),
        metavar=("LOW", "HIGH"),
        help="pixel values of black and white; patches at the edge are "
        "filled with black, nothing is scaled (default: 0 255)",
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
    parser.set_defaults(run=_run_patch)


class _OneOrTwo(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 2:
            parser.error(
                f"argument {option_string}: expected a height, or a height "
                f"and a width, received {len(values)} numbers"
            )
        setattr(namespace, self.dest, (values[0], values[-1]))


def _run_patch(options):
    import keras_patching

    sequence = (
        keras_patching.load_dataset_from_directory_with_segmentation_masks(
            options.dirname,
            options.seg_dirname,
            options.patch_size,
            num_classes=options.num_classes,
            ignore_value=options.ignore_value,
            channels=options.channels,
            value_range=options.value_range,
            cache_dir=options.cache_dir,
            overwrite=options.overwrite,
        )
    )
    print(f"To train on them: PatchingSequence({str(sequence.manifest)!r})")


def _add_clean(commands):
    parser = commands.add_parser(
        "clean",
        help="remove patches that no cache uses any more",
        description=(
            "Remove patch files that no complete cache in the folder names, "
            "such as those of images that have changed and of builds that "
            "were killed. Images and masks are never touched."
        ),
    )
    parser.add_argument(
        "dirname",
        metavar="DIRNAME",
        help="folder of patch caches, such as field/images_patches",
    )
    parser.add_argument(
        "--min-age",
        type=float,
        default=3600,
        metavar="SECONDS",
        help="keep younger files, since a build may be running that has not "
        "named them yet (default: %(default)s, an hour)",
    )
    parser.set_defaults(run=_run_clean)


def _run_clean(options):
    from keras_patching.data.cleaning import clean

    cleaned = clean(options.dirname, options.min_age)
    print(
        f"Removed {len(cleaned.paths)} files ({cleaned.bytes:,} bytes) from "
        f"{options.dirname}."
    )


def _add_inspect(commands):
    parser = commands.add_parser(
        "inspect",
        help="tell what patch caches hold, and draw some patches",
        description=(
            "Print of each patch cache in a folder its parameters, images, "
            "patches and bytes, and of each class its pixels, their fraction, "
            "and the patches that hold it; or the objects in patches, and of "
            "boxes those of each class and the stages of planning."
        ),
    )
    _add_cache(parser, "a manifest (.json), or a folder of patch caches")
    parser.add_argument(
        "--out",
        metavar="SHEET.png",
        help="draw a contact sheet: patches with their masks, heatmaps, points "
        "or boxes laid over, every class among them (default: none is drawn)",
    )
    parser.set_defaults(run=_run_inspect)


def _add_cache(parser, description):
    parser.add_argument(
        "cache",
        metavar="FOLDER_OR_MANIFEST",
        help=f"{description}, such as field/images_patches",
    )


def _run_inspect(options):
    from keras_patching import contact_sheet
    from keras_patching.data import inspecting, whole_files

    caches, faults = inspecting.inspect(options.cache)
    for cache in caches:
        print(f"{cache.describe()}\n")
    if len(caches) > 1:
        print(inspecting.describe_disk_use(caches))
    if options.out and caches:
        sheet = contact_sheet.stack(
            [contact_sheet.contact_sheet(cache) for cache in caches]
        )
        whole_files.write_whole_image(options.out, sheet)
        print(f"Picture  {options.out}")
    _fail_for_each(faults, "caches cannot be used")


def _fail_for_each(faults, summary):
    """Print each fault on its own, then fail if there were any."""
    for fault in faults:
        print(f"keras-patching: error: {fault}", file=sys.stderr)
    if faults:
        raise ValueError(f"{len(faults)} {summary}.")


def _add_export(commands):
    parser = commands.add_parser(
        "export",
        help="write patches as image and label files, or copy one cache",
        description=(
            "Write the patches of a cache as images/NAME.png and "
            "masks/NAME.png (TIFF where PNG cannot hold them), where NAME says "
            "image, number and top-left corner, such as "
            "leaf_0001_y0128_x0256. Masks hold class ids. For counting, "
            "heatmaps/NAME.tif holds objects per pixel, and images/NAME.json "
            "and images/points.csv points in pixels of the patch. For "
            "detection, labels.json holds boxes in pixels of the patch, and "
            "labels/NAME.txt with classes.txt the same for YOLO tools. The "
            "loaders read what was written as a data set."
        ),
    )
    _add_cache(parser, "a manifest (.json), or a folder that holds one cache")
    parser.add_argument(
        "directory",
        metavar="DIRECTORY",
        help="folder to write to; it must be missing or empty",
    )
    parser.add_argument(
        "--copy",
        action="store_true",
        help="copy the cache instead, with nothing that it does not need; "
        "PatchingSequence(DIRECTORY) loads it (default: write files)",
    )
    parser.set_defaults(run=_run_export)


def _run_export(options):
    from keras_patching.data import exporting

    if options.copy:
        manifest = exporting.export_copy(options.cache, options.directory)
        print(f"To train on it: PatchingSequence({str(manifest.parent)!r})")
    else:
        count = exporting.export_patches(options.cache, options.directory)
        print(f"Wrote {count:,} patches into {options.directory}.")


def _add_predict(commands):
    parser = commands.add_parser(
        "predict",
        # Options first, as argparse writes it, would take images for more
        # of their values.
        usage="%(prog)s MODEL.keras IMAGES... --out DIR [options]",
        help="predict whole images with a saved model: pictures and a table",
        description=(
            "Predict whole images, one at a time. A segmentation model writes "
            "class ids as DIR/masks/NAME.png, a counting model objects per "
            "pixel as DIR/heatmaps/NAME.tif and the places of objects in "
            "DIR/points.csv (image, x, y, score), a detection model boxes in "
            "DIR/boxes.csv (image, x1, y1, x2, y2, score, label) and, in the "
            "format of COCO, in DIR/coco.json. All draw what was found over "
            "the image as DIR/overlays/NAME.png, and write for each image a "
            "row in DIR/results.csv: height, width, pixels and fraction per "
            "class, or the count and the number of located objects or of "
            "those of each class, and seconds (which for the first image of a "
            "size include compiling). "
            "Images that fail are reported at the end, with exit status 1; "
            "the others are done."
        ),
    )
    parser.add_argument(
        "model",
        metavar="MODEL.keras",
        help="a SemanticSegmentationModel, HeatmapObjectCountingModel or "
        "ObjectDetectionModel that was saved with model.save",
    )
    parser.add_argument(
        "images",
        metavar="IMAGES",
        nargs="+",
        help="image files, or folders of them; subfolders are not searched",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder to write to; made if missing",
    )
    parser.add_argument(
        "--score-threshold",
        type=_fraction,
        metavar="SCORE",
        help="lowest score, from 0 to 1, of what a detection model finds "
        "(default: 0.3)",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace results that are there already (default: refuse)",
    )
    parser.set_defaults(run=_run_predict)


def _run_predict(options):
    from keras_patching.inference import file_prediction

    model = file_prediction.load_model(options.model)
    score = options.score_threshold
    chosen = {} if score is None else {"score_threshold": score}
    done = file_prediction.predict_files(
        model, options.images, options.out, options.overwrite, **chosen
    )
    total = len(done.rows) + len(done.faults)
    print(
        f"Predicted {len(done.rows)} of {total} images; the results are in "
        f"{options.out}."
    )
    _fail_for_each(done.faults, f"of {total} images failed")


def _add_verify(commands):
    parser = commands.add_parser(
        "verify",
        # Options first, as argparse writes it, would take the model for one
        # more overlap.
        usage="%(prog)s MODEL.keras IMAGE [options]",
        help="measure how far tiled prediction is from the whole image",
        description=(
            "Predict an image in patches and in one piece, with each overlap, "
            "and print the largest difference, where it is, and how many "
            "pixels are computed for each pixel of the image. With the overlap "
            "`auto`, which is derived from the layers of the patch model, "
            "rounding alone is left. The image must fit in memory in one "
            "piece."
        ),
    )
    parser.add_argument(
        "model",
        metavar="MODEL.keras",
        help="a task model or PatchedModel that was saved with model.save",
    )
    parser.add_argument("image", metavar="IMAGE", help="image file to predict")
    parser.add_argument(
        "--overlap",
        type=_overlap,
        nargs="+",
        default=(0, 32, "auto"),
        metavar="N",
        help="pixels that neighbouring patches share, or `auto` (default: "
        "0 32 auto)",
    )
    parser.add_argument(
        "--patch-size",
        type=_length,
        nargs="+",
        action=_OneOrTwo,
        metavar=("H", "W"),
        help="height and width of the patches in pixels, or `all` for the "
        "length of the image: `512 all` are bands (default: those that the "
        "model predicts with)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for a picture of the difference for each overlap; made "
        "if missing (default: none is drawn)",
    )
    parser.set_defaults(run=_run_verify)


def _run_verify(options):
    from keras_patching.inference import file_verification

    file_verification.verify_file(
        options.model,
        options.image,
        options.overlap,
        options.patch_size,
        options.out,
    )


def _integer_from(minimum):
    def parse(text):
        value = int(text)
        if value < minimum:
            raise argparse.ArgumentTypeError(
                f"expected an integer of at least {minimum}, received {text}"
            )
        return value

    parse.__name__ = "integer"  # argparse: "invalid integer value: 'x'"
    return parse


def _fraction(text):
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(
            f"expected a number from 0 to 1, received {text}"
        )
    return value


_fraction.__name__ = "number"  # argparse: "invalid number value: 'x'"


def _overlap(text):
    return text if text == "auto" else _integer_from(0)(text)


_overlap.__name__ = 'number of pixels (or "auto")'


def _length(text):
    return None if text == "all" else _integer_from(1)(text)


_length.__name__ = 'number of pixels (or "all")'


def _channels(text):
    return None if text == "all" else _integer_from(1)(text)


_channels.__name__ = "number of channels"
