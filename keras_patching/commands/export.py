"""`keras-patching export`."""

from keras_patching.commands.arguments import add_cache


def add(commands):
    """Add the command to the subparsers of `argparse`."""
    parser = commands.add_parser(
        "export",
        help="write patches as image and label files, or copy one cache",
        description=(
            "Write the patches of a cache as images/NAME.png and "
            "masks/NAME.png (TIFF where PNG cannot hold them), where NAME says "
            "image, number and top-left corner, such as "
            "leaf_0001_y0128_x0256. Masks hold class ids, "
            "masks/classes.csv their names and colors. For counting, "
            "heatmaps/NAME.tif holds objects per pixel, and images/NAME.json "
            "and images/points.csv points in pixels of the patch. For "
            "detection, labels.json holds boxes in pixels of the patch, and "
            "coco.json, and labels/NAME.txt with classes.txt, the same for "
            "tools of COCO and YOLO. The loaders read what was written as a "
            "data set."
        ),
    )
    add_cache(parser, "a manifest (.json), or a folder that holds one cache")
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
    parser.set_defaults(
        run=_run,
        go_on="Nothing was exported: run the same command again.",
    )


def _run(options):
    from keras_patching.data.inspection import export

    if options.copy:
        manifest_path = export.export_copy(options.cache, options.directory)
        print(
            f"To train on it: PatchingSequence({str(manifest_path.parent)!r})"
        )
    else:
        count = export.export_patches(options.cache, options.directory)
        print(f"Wrote {count:,} patches into {options.directory}.")
