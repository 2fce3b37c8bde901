"""Which report is written of the predictions of which task.

A report is a module, such as `counting_report`, with

- `OPTIONS`: names of keyword arguments of `predict`,
- `OUTPUTS`: dict from folder to the suffix of the images in it,
- `TABLES`: dict from the name of a CSV file, beside `results.csv`, to its
  columns, the first of which is the image's name,
- `DOCUMENTS`: dict from the name of a JSON file to a function that gives its
  content, from model, rows of `results.csv` and dict from table to rows,
- `predict`: a function of model and image,
- `describe`: a function of model, image and prediction. It gives a dict from
  folder to a tuple of what `write_image` takes, a dict from column of
  `results.csv` to number, and a dict from table to rows, which are dicts
  without the image's name.
"""

from keras_patching.inference import (
    counting_report,
    detection_report,
    segmentation_report,
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
    SemanticSegmentationModel: segmentation_report,
    HeatmapObjectCountingModel: counting_report,
    ObjectDetectionModel: detection_report,
}


def report_of(model, name):
    """Return the report of a task model.

    Args:
        model: Keras model.
        name: What it is called in an error: its own name, or its file.

    Raises:
        ValueError: If it is not of a task that has a report.
    """
    for task, report in _REPORTS.items():
        if isinstance(model, task):
            return report
    tasks = ", ".join(task.__name__ for task in _REPORTS)
    raise ValueError(
        f"{name}: is a {type(model).__name__}, whose predictions cannot be "
        f"written to files. Expected one of: {tasks}. Make one of them with "
        "`patch_model=` this model, set its patch size, and save it."
    )


def check_options(options, report, model):
    """Refuse options that the report of a model does not take."""
    unknown = options.keys() - set(report.OPTIONS)
    if unknown:
        raise ValueError(
            f"{model.name}: a {type(model).__name__} has no option "
            f"{', '.join(sorted(unknown))}. Expected of: "
            f"{', '.join(report.OPTIONS) or 'none'}. Leave it out."
        )
