"""`keras-patching clean`."""

from keras_patching.commands.arguments import seconds


def add(commands):
    """Add the command to the subparsers of `argparse`."""
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
        type=seconds,
        default=3600,
        metavar="SECONDS",
        help="remove nothing while a file that no cache names is younger, "
        "since a build may be running (default: %(default)s, an hour)",
    )
    parser.set_defaults(
        run=_run,
        go_on="Run the same command again to remove the rest; no cache needs "
        "what was removed.",
    )


def _run(options):
    from keras_patching.data.cache.cleaning import clean

    cleaned = clean(options.dirname, options.min_age)
    print(
        f"Removed {len(cleaned.paths)} files ({cleaned.bytes:,} bytes) from "
        f"{options.dirname}."
    )
