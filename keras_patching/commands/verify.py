"""`keras-patching verify`."""

from keras_patching.commands.arguments import (
    add_patch_size,
    overlap_value,
)


def add(commands):
    """Add the command to the subparsers of `argparse`."""
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
        type=overlap_value,
        nargs="+",
        metavar="N",
        help="pixels that neighbouring patches share, or `auto` (default: "
        "0, a quarter of the shortest patch, the tiling that the model was "
        "saved with, and auto)",
    )
    add_patch_size(parser)
    parser.add_argument(
        "--tolerance",
        type=float,
        metavar="D",
        help="search for the smallest overlap whose largest difference is at "
        "most this, such as 1e-3, for models that `auto` is too dear for, or "
        "impossible (default: no search)",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        help="folder for a picture of the difference for each overlap; made "
        "if missing (default: none is drawn)",
    )
    parser.set_defaults(run=_run)


def _run(options):
    from keras_patching.inference import file_verification

    file_verification.verify_file(
        options.model,
        options.image,
        options.overlap,
        options.patch_size,
        options.out,
        options.tolerance,
    )
