"""Which report is written of the predictions of which task model."""

from keras_patching.data.images.zarr_windows import import_zarr
from keras_patching.inference.reports import (
    counting,
    detection,
    doubt,
    segmentation,
)
from keras_patching.models.counting.heatmap_object_counting_model import (
    HeatmapObjectCountingModel,
)
from keras_patching.models.detection.object_detection_model import (
    ObjectDetectionModel,
)
from keras_patching.models.segmentation.semantic_segmentation_model import (
    SemanticSegmentationModel,
)

_REPORTS = {
    SemanticSegmentationModel: segmentation,
    HeatmapObjectCountingModel: counting,
    ObjectDetectionModel: detection,
}


def report_of(model, name):
    """Return the class `Report` of a task model.

    Args:
        model: Keras model.
        name: What it is called in an error: its own name, or its file.

    Raises:
        ValueError: If it is not of a task that has a report.
    """
    for task, report in _REPORTS.items():
        if isinstance(model, task):
            return report.Report
    tasks = ", ".join(task.__name__ for task in _REPORTS)
    raise ValueError(
        f"{name}: is a {type(model).__name__}, whose predictions cannot be "
        f"written to files. Expected one of: {tasks}. Make one of them with "
        "`patch_model=` this model, set its patch size, and save it."
    )


def make_report(model, options):
    """Make the report of a model, or refuse the model or an option.

    Args:
        model: Keras model.
        options: Dict of arguments of its report, and of what it writes.

    Raises:
        ValueError: If it cannot be written, or has no such option.
        ImportError: If zarr arrays are asked for, and zarr is not installed.
    """
    make = report_of(model, model.name)
    if options.get("transform") == "doubt" and "transform" in make.OPTIONS:
        make = doubt.Report
    check_options(options, make, model)
    model._require_patch_size()
    report = make(model, **options)
    if options.get("format") in ("zarr", "ome.zarr"):
        import_zarr("`format`")
    return report


def check_options(options, report, model):
    """Refuse options that the report of a model does not take."""
    unknown = options.keys() - set(report.OPTIONS)
    if unknown:
        raise ValueError(
            f"{model.name}: a {type(model).__name__} has no option "
            f"{', '.join(sorted(unknown))}. Expected of: "
            f"{', '.join(report.OPTIONS) or 'none'}. Leave it out."
        )
