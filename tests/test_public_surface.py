"""What users can import is a list that changes on purpose only."""

import importlib.metadata
import pathlib
import subprocess
import sys
import tomllib

import keras_patching as kp

ROOT = pathlib.Path(__file__).parents[1]


def test_the_public_surface():
    assert sorted(kp.__all__) == [
        "DensityMapLoss",
        "HeatmapObjectCountingModel",
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
        "fit_anchors",
        "inference",
        "load_dataset_from_directory_with_segmentation_masks",
        "load_heatmap_dataset_with_csv_from_directory",
        "load_heatmap_dataset_with_json_files_from_directory",
        "load_yolo_dataset_from_directory",
        "metrics",
        "read_boxes",
        "read_points",
        "receptive_field",
        "verify_tiling",
    ]
    assert sorted(kp.callbacks.__all__) == [
        "FullImageEvaluation",
        "PredictionGallery",
        "ResamplePatches",
    ]
    assert sorted(kp.inference.__all__) == [
        "FilePredictions",
        "load_model",
        "predict_files",
    ]
    for space in (kp, kp.callbacks, kp.inference):
        for name in space.__all__:
            assert hasattr(space, name)


def test_every_public_class_and_function_says_how_to_use_it():
    for space in (kp, kp.inference):
        for name in space.__all__:
            thing = getattr(space, name)
            if callable(thing):
                assert "Example:" in thing.__doc__, name


def test_the_version_is_that_of_the_distribution():
    assert importlib.metadata.version("keras-patching") == kp.__version__


def test_the_core_needs_only_its_four_packages():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {entry.split(">")[0] for entry in project["dependencies"]}
    assert names == {"keras", "jax", "numpy", "imageio[tifffile]"}


def test_importing_needs_no_optional_package():
    code = (
        "import sys; sys.modules['matplotlib'] = None; "
        "import keras_patching, keras_patching.cli"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


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
