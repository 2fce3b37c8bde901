"""Labels of every tool give the same patches, and come back from an export."""

import json

import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.images.image_io import write_image

PATCH = 16
SIZE = (20, 28)
# In the middle of their pixels, where dot images have them.
POINTS = [(0.5, 0.5), (3.5, 7.5), (15.5, 16.5), (19.5, 27.5)]


@pytest.fixture
def folder(tmp_path):
    images = tmp_path / "cells"
    images.mkdir()
    image = np.random.default_rng(0).integers(0, 255, (*SIZE, 3))
    write_image(images / "a.png", image.astype("uint8"))
    return images


def load_table(folder, text, name="points.csv"):
    (folder / name).write_text(text, "utf-8")
    return kp.load_heatmap_dataset_with_csv_from_directory(
        folder, name, PATCH, shuffle=False
    )


def load_json(folder, content, name="a.json"):
    (folder / name).write_text(json.dumps(content))
    return kp.load_heatmap_dataset_with_json_files_from_directory(
        folder, PATCH, shuffle=False
    )


def excel(folder):
    rows = [f"a;{x};{y}".replace(".", ",") for y, x in POINTS]
    return load_table(folder, "\n".join(["image;x;y", *rows]))


def fiji(folder):
    rows = [
        f"{index}\ta.png\t0\t{x:.3f}\t{y:.3f}"
        for index, (y, x) in enumerate(POINTS, 1)
    ]
    return load_table(folder, "\n".join([" \tLabel\tArea\tX\tY", *rows]))


def dpp(folder):
    axes = {
        axis: {f"p{i}": point[k] for i, point in enumerate(POINTS)}
        for axis, k in (("x", 1), ("y", 0))
    }
    return load_json(folder, axes)


def qupath(folder):
    geometry = {"type": "MultiPoint", "coordinates": [p[::-1] for p in POINTS]}
    feature = {"type": "Feature", "geometry": geometry, "properties": {}}
    return load_json(folder, [feature], "a.geojson")


def labelme(folder):
    shapes = [
        {"label": "cell", "points": [[x, y]], "shape_type": "point"}
        for y, x in POINTS
    ]
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes}
    height, width = SIZE
    size = {"imageHeight": height, "imageWidth": width}
    return load_json(folder, {**content, "imagePath": "a.png", **size})


def via(folder):
    regions = [
        {
            "shape_attributes": {"name": "point", "cx": x, "cy": y},
            "region_attributes": {},
        }
        for y, x in POINTS
    ]
    entry = {"filename": "a.png", "size": 1, "regions": regions}
    return load_table(folder, json.dumps({"a.png1": entry}), "via.json")


def coco(folder):
    content = {
        "images": [{"id": 1, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "cell", "keypoints": ["center"]}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "keypoints": [x, y, 2]}
            for y, x in POINTS
        ],
    }
    return load_table(folder, json.dumps(content), "coco.json")


def dots(folder):
    image = np.zeros(SIZE, "uint8")
    for y, x in POINTS:
        image[int(y), int(x)] = 255
    dot_folder = folder.with_name("dots")
    dot_folder.mkdir()
    write_image(dot_folder / "a.png", image)
    return kp.load_heatmap_dataset_with_heatmap_files_from_directory(
        folder, dot_folder, PATCH, dots="blobs", shuffle=False
    )


# The points of each patch, in pixels of it.
PATCHES = [[[0.5, 0.5], [3.5, 7.5]], [[15.5, 0.5]], [], [[3.5, 11.5]]]


@pytest.mark.parametrize(
    "load", [excel, fiji, dpp, qupath, labelme, via, coco, dots]
)
def test_labels_of_a_tool_come_back_from_an_export(folder, load):
    sequence = load(folder)
    images, heatmaps = sequence[0]
    np.testing.assert_allclose(heatmaps.sum(), len(POINTS), rtol=1e-5)
    out = folder.with_name("out")
    kp.data.export_patches(sequence.manifest_path, out, verbose=False)
    for label_file in ("points.csv", None):
        points = kp.read_points(out / "images", label_file)
        assert [each.tolist() for each in points.values()] == PATCHES
    again = kp.load_heatmap_dataset_with_heatmap_files_from_directory(
        out / "images", out / "heatmaps", PATCH, shuffle=False
    )
    for ours, other in zip(again[0], (images, heatmaps), strict=True):
        np.testing.assert_array_equal(ours, other)


def test_a_folder_of_deep_plant_phenomics_loads_unchanged(folder, capsys):
    (folder / "a.png").rename(folder / "1.tif.png")
    axes = {
        axis: {f"p{i}": int(point[k]) for i, point in enumerate(POINTS)}
        for axis, k in (("x", 1), ("y", 0))
    }
    (folder / "1.json").write_text(json.dumps(axes))
    (folder / "camera.json").write_text('{"exposure": 3}')
    row = [number for y, x in POINTS for number in (int(x), int(y))]
    text = ",".join(map(str, ["1.tif", *row]))
    by_name = [
        kp.load_heatmap_dataset_with_json_files_from_directory(folder, PATCH),
        load_table(folder, f"\ufeff{text}\n", "labels.csv"),
    ]
    assert "Left out 'camera.json'" in capsys.readouterr().out
    for sequence in by_name:
        np.testing.assert_allclose(sequence[0][1].sum(), 4, rtol=1e-5)
    # Its heatmaps are in hundredths of an object, of shape (height, width, 1).
    heatmaps = folder.with_name("generated_heatmaps")
    heatmaps.mkdir()
    np.save(heatmaps / "1.tif.npy", np.full((*SIZE, 1), 0.5, "float32"))
    ready = kp.load_heatmap_dataset_with_heatmap_files_from_directory(
        folder, heatmaps, PATCH, heatmap_unit=0.01
    )
    expected = 0.005 * SIZE[0] * SIZE[1]
    np.testing.assert_allclose(ready[0][1].sum(), expected, rtol=1e-5)
