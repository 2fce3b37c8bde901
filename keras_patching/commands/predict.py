"""`keras-patching predict`."""

import argparse
import os

from keras_patching.commands.arguments import (
    add_patch_size,
    fail_for_each,
    fraction,
    integer_from,
    number_of_bytes,
    number_or_name,
    overlap_value,
    positive,
)
from keras_patching.commands.dask_workers import add_dask, dask_executor


def add(commands):
    """Add the command to the subparsers of `argparse`."""
    parser = commands.add_parser(
        "predict",
        # Options first, as argparse writes it, would take images for more
        # of their values.
        usage="%(prog)s MODEL.keras SOURCES... --out DIR [options]",
        help="predict whole images with a saved model: pictures and a table",
        description=(
            "Predict whole images of any sizes, of which some are read and "
            "written while others are computed. A segmentation model writes "
            "class ids as DIR/masks/NAME.png, a counting model objects per "
            "pixel as DIR/heatmaps/NAME.tif and the places of objects in "
            "DIR/points.csv (image, x, y, score), a detection model boxes in "
            "DIR/boxes.csv (image, x1, y1, x2, y2, score, label) and, in the "
            "format of COCO, in DIR/coco.json. All draw what was found over "
            "the image as DIR/overlays/NAME.png, and write for each image, "
            "when it is done, a row in DIR/results.csv: height, width, pixels "
            "and fraction per class, or the count and the number of located "
            "objects or of those of each class, and seconds (from when it was "
            "opened until it was done, while others were predicted too). "
            "Images of more than 67 megapixels are drawn smaller, and their "
            "masks are .tif, as those of georeferenced images, whose results "
            "lie where these do; then DIR/points.geojson or boxes.geojson is "
            "written too. "
            "Images that fail are reported at the end, with exit status 1; "
            "the others are done. When it was stopped, or when images have "
            "failed, the same command goes on with what is not done."
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
        metavar="SOURCES",
        nargs="+",
        help="image files, OME-Zarrs, folders of them, whose subfolders are "
        "not searched, or patterns in quotes, as 'field/**/*.tif'",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        required=True,
        help="folder to write to; made if missing",
    )
    parser.add_argument(
        "--transform",
        choices=("classes", "probabilities", "instances", "heatmap", "doubt"),
        help="what a segmentation model writes: classes of pixels, "
        "probabilities (as DIR/probabilities/NAME.tif), or instances, which "
        "are connected regions of a class, numbered in DIR/instances/NAME.tif, "
        "measured in DIR/objects.csv (in pixels, and in metres or micrometres "
        "where the image says how large a pixel is), with outlines in "
        "DIR/polygons/NAME.geojson; or, of a counting model, heatmap, for "
        "heatmaps and counts and no places; of both, doubt, as "
        "DIR/doubts/NAME.tif: how much several predictions of a pixel differ "
        "(default: classes; heatmaps and places)",
    )
    parser.add_argument(
        "--format",
        choices=("png", "tif", "npy", "zarr", "ome.tif", "ome.zarr"),
        help="of masks, probabilities, instances and heatmaps; png holds masks "
        "only, and needs the memory for a whole one; ome.tif and ome.zarr have "
        "levels for viewers (default: png for masks, else tif)",
    )
    parser.add_argument(
        "--score-threshold",
        type=fraction,
        metavar="SCORE",
        help="lowest score, from 0 to 1, of what a detection model finds "
        "(default: 0.3)",
    )
    parser.add_argument(
        "--large-objects",
        nargs="?",
        const=True,
        default=False,
        type=int,
        metavar="PIXELS",
        help="look at each image once more, reduced until it is no larger than "
        "a patch, or until objects of so many pixels are no longer than the "
        "overlap, for what is larger than patches, of a detection model "
        "(default: parts of such objects are found)",
    )
    parser.add_argument(
        "--overlap",
        type=overlap_value,
        metavar="N",
        help="pixels that neighbouring patches share, or `auto`: no seam, and "
        "nothing is computed twice where rows can be streamed (default: that "
        "of the model)",
    )
    add_patch_size(parser)
    parser.add_argument(
        "--test-time-augmentation",
        choices=("all", "turns", "mirrors", "left_right", "none"),
        help="predict images mirrored and turned too, and average: all 8 ways, "
        "4 quarter-turns, 4 mirrors or 2, at as many times the cost (default: "
        "that of the model, which is none unless it was set)",
    )
    parser.add_argument(
        "--level",
        type=integer_from(0),
        metavar="N",
        help="level of slides and other pyramids to read, 0 for the largest; "
        "results are in pixels of that level (default: 0)",
    )
    parser.add_argument(
        "--pixel-size",
        type=positive,
        metavar="LENGTH",
        help="or how long a pixel may be, in micrometres, of maps in metres: "
        "the coarsest level is read that is as fine",
    )
    parser.add_argument(
        "--series",
        type=number_or_name,
        metavar="NAME",
        help="name, or number from 0, of the image to read of files that hold "
        "several (default: the only one)",
    )
    parser.add_argument(
        "--report",
        action="store_true",
        help="write DIR/report.html too: a page that needs no other file, with "
        "a table of the images that sorts, and what was found over each image "
        "(default: none is written)",
    )
    parser.add_argument(
        "--device-memory",
        type=number_of_bytes,
        metavar="SIZE",
        help="what a device may hold at once of what the layers make, as 2GB "
        "or 512MB, beside weights and what libraries need: fewer rows or "
        "patches are computed at once then (default: what suits the device)",
    )
    parser.add_argument(
        "--truth",
        metavar="PATH",
        help="what is true of the images, which lie in one folder, for scores "
        "on the page: a folder of masks, or a file of points or of boxes "
        "(default: no scores)",
    )
    parser.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="go on where the same prediction was stopped (default), or "
        "refuse to write where it has written, or replace it with --overwrite",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="predict all images again, and replace results that are there "
        "already (default: go on where the same prediction was stopped, "
        "refuse to replace anything else)",
    )
    add_dask(parser)
    parser.set_defaults(
        run=_run,
        go_on="Run the same command again to go on: images that are predicted "
        "already are kept.",
    )


def _run(options):
    with dask_executor(options.dask) as executor:
        _predict(options, executor)


def _predict(options, executor):
    from keras_patching._printing import say
    from keras_patching.inference import file_prediction
    from keras_patching.inference.model_tiling import change_tiling

    model = file_prediction.load_model(options.model)
    change_tiling(
        model,
        options.overlap,
        options.patch_size,
        options.test_time_augmentation,
    )
    done = file_prediction.predict_files(
        model,
        options.images,
        options.out,
        options.overwrite,
        score_threshold=options.score_threshold,
        large_objects=options.large_objects,
        transform=options.transform,
        format=options.format,
        resume=options.resume,
        report=options.report,
        device_memory=options.device_memory,
        truth=options.truth,
        level=options.level,
        pixel_size=options.pixel_size,
        series=options.series,
        executor=executor,
    )
    total = len(done.rows) + len(done.faults)
    before = f", {done.num_before} of them before" if done.num_before else ""
    where = f"; the results are in {options.out}" if done.rows else ""
    say(f"Predicted {len(done.rows)} of {total} images{before}{where}.")
    if options.report and done.rows:
        say(f"Page  {os.path.join(options.out, 'report.html')}")
    fail_for_each(done.faults, f"of {total} images failed")
