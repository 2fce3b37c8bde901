"""What users can import is a list that changes on purpose only."""

import ast
import importlib
import importlib.metadata
import pathlib
import re
import subprocess

import pytest

import keras_patching as kp

ROOT = pathlib.Path(__file__).parents[1]


PUBLIC = {
    "keras_patching": [
        "DensityMapLoss",
        "HeatmapObjectCountingModel",
        "ImageSequence",
        "ObjectDetectionModel",
        "PatchGrid",
        "PatchedModel",
        "PatchedPredictor",
        "PatchingSequence",
        "SegmentationLoss",
        "SemanticSegmentationModel",
        "YoloLoss",
        "YoloPatchSampler",
        "__version__",
        "callbacks",
        "check_leakage",
        "data",
        "fit_anchors",
        "inference",
        "layers",
        "load_dataset_from_directory_with_segmentation_masks",
        "load_heatmap_dataset_with_csv_from_directory",
        "load_heatmap_dataset_with_heatmap_files_from_directory",
        "load_heatmap_dataset_with_json_files_from_directory",
        "load_yolo_dataset_from_directory",
        "losses",
        "metrics",
        "models",
        "read_boxes",
        "read_points",
        "receptive_field",
        "verify_tiling",
        "visualization",
    ],
    "keras_patching.callbacks": [
        "FullImageEvaluation",
        "PredictionGallery",
        "ResamplePatches",
    ],
    "keras_patching.data": [
        "BlockSplit",
        "ImageSequence",
        "OpenedImage",
        "PatchingSequence",
        "YoloPatchSampler",
        "clean",
        "export_copy",
        "export_patches",
        "list_images",
        "open_image",
        "read_boxes",
        "read_image",
        "read_mask",
        "read_points",
        "to_geojson",
        "write_image",
    ],
    "keras_patching.demos": [
        "TASKS",
        "counting_demo",
        "detection_demo",
        "segmentation_demo",
        "write_plant_field",
        "write_seedling_field",
    ],
    "keras_patching.inference": [
        "FilePredictions",
        "LeakageReport",
        "check_leakage",
        "load_ensemble",
        "load_model",
        "predict_files",
        "verify_tiling",
    ],
    "keras_patching.layers": [
        "Ensemble",
        "PatchedPredictor",
        "RowStream",
        "StreamedOutput",
        "TestTimeAugmentation",
        "register_rule",
    ],
    "keras_patching.losses": ["DensityMapLoss", "SegmentationLoss", "YoloLoss"],
    "keras_patching.metrics": [
        "BoxIoU",
        "COCO_IOU_THRESHOLDS",
        "CountError",
        "DiceScore",
        "MeanIoU",
        "PixelAccuracy",
        "average_precision",
        "confusion_matrix",
        "count_errors",
        "localization_scores",
        "precision_recall_curves",
    ],
    "keras_patching.models": [
        "HeatmapObjectCountingModel",
        "ObjectDetectionModel",
        "PatchedModel",
        "SemanticSegmentationModel",
        "fit_anchors",
    ],
    "keras_patching.visualization": [
        "COLORS",
        "FALSE_ALARM",
        "MISSED",
        "WRONG_CLASS",
        "box_captions",
        "box_legend",
        "class_colors",
        "class_legend",
        "counting_figure",
        "counting_panels",
        "detection_figure",
        "detection_panels",
        "heatmap_bar",
        "legend",
        "overlay_boxes",
        "overlay_detections",
        "overlay_heatmap",
        "overlay_mask",
        "overlay_points",
        "palette",
        "plot_confusion_matrix",
        "plot_counts",
        "plot_coverage",
        "plot_history",
        "plot_precision_recall",
        "segmentation_figure",
        "show_heatmap",
        "side_by_side",
        "stacked",
        "to_uint8",
    ],
}


@pytest.mark.parametrize("space", PUBLIC)
def test_a_namespace_gives_what_is_listed(space):
    module = importlib.import_module(space)
    assert sorted(module.__all__) == PUBLIC[space]
    for name in module.__all__:
        assert hasattr(module, name)


def test_type_checkers_see_the_same_names():
    public = importlib.import_module("keras_patching._public")
    assert {*public.__all__, "__version__"} == set(kp.__all__)
    assert (pathlib.Path(kp.__file__).parent / "py.typed").exists()


# What files of the package say they are.
FORMATS = {
    "keras_patching.patch_cache",
    "keras_patching.predictions",
    "keras_patching.result",
}


def is_public(name):
    """Tell whether users may import a dotted name, or an attribute of one."""
    _, *parts = name.split(".")
    for length in range(len(parts), 0, -1):
        space = ".".join(["keras_patching", *parts[: length - 1]])
        if space in PUBLIC and parts[length - 1] in PUBLIC[space]:
            return True
    return ".".join(["keras_patching", *parts]) in PUBLIC


def texts():
    """Yield `(path, text)` of all documents, and strings of the package."""
    notebooks = ROOT / "notebooks"
    for folder, pattern in ((ROOT, "README.md"), (notebooks, "*.[im]*")):
        for path in folder.glob(pattern):
            yield path, path.read_text()
    for path in (ROOT / "keras_patching").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield path, node.value


def test_documents_and_messages_name_only_what_is_public():
    names = re.compile(r"\b(?:keras_patching|kp)(?:\.[a-zA-Z]\w*)+")
    imports = re.compile(r"from (keras_patching[\w.]*) import \(?([\w, ]+)")
    for path, text in texts():
        for module, imported in imports.findall(text):
            for name in imported.replace(" ", "").strip(",").split(","):
                assert is_public(f"{module}.{name}"), path
        for name in names.findall(imports.sub("", text)):
            assert is_public(name) or name in FORMATS, path


@pytest.mark.parametrize("space", PUBLIC)
def test_every_public_class_and_function_says_how_to_use_it(space):
    module = importlib.import_module(space)
    for name in module.__all__:
        thing = getattr(module, name)
        if callable(thing) and not name.endswith("_demo"):
            assert "Example:" in thing.__doc__, name


def test_the_version_is_that_of_the_distribution():
    assert importlib.metadata.version("keras-patching") == kp.__version__


def test_the_top_level_holds_what_the_design_names():
    allowed = {
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "LICENSE",
        "keras_patching",
        "tests",
        "notebooks",
    }
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True
    ).stdout.splitlines()
    top = {path.split("/")[0] for path in listed}
    assert {name for name in top if not name.startswith(".")} <= allowed
