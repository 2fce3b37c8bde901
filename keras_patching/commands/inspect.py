"""`keras-patching inspect`."""

import pathlib

from keras_patching.commands.arguments import add_cache, fail_for_each


def add(commands):
    """Add the command to the subparsers of `argparse`."""
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
    add_cache(parser, "a manifest (.json), or a folder of patch caches")
    parser.add_argument(
        "--out",
        metavar="SHEET.png",
        help="draw a contact sheet: patches with their masks, heatmaps, points "
        "or boxes laid over, every class among them (default: none is drawn)",
    )
    parser.add_argument(
        "--report",
        metavar="PAGE.html",
        help="write a page that needs no other file: patches in a table that "
        "sorts, with labels that are switched on and off, every class among "
        "them; of several caches a page each (default: none is written)",
    )
    parser.set_defaults(run=_run)


def _run(options):
    from keras_patching.data.images.image_io import write_whole_image
    from keras_patching.data.inspection.cache_page import write_cache_pages
    from keras_patching.data.inspection.contact_sheet import contact_sheet
    from keras_patching.data.inspection.contents import inspect
    from keras_patching.data.inspection.report import (
        describe,
        describe_disk_use,
    )
    from keras_patching.visualization import stacked

    caches, faults = inspect(options.cache)
    for cache in caches:
        print(f"{describe(cache)}\n")
    if len(caches) > 1:
        print(describe_disk_use(caches))
    if options.out and caches:
        sheets = [contact_sheet(cache) for cache in caches]
        sheet = stacked(*sheets)
        write_whole_image(options.out, sheet)
        print(f"Picture  {options.out}")
    if options.report and caches:
        for path in write_cache_pages(pathlib.Path(options.report), caches):
            print(f"Page  {path}")
    fail_for_each(faults, "of the caches cannot be used")
