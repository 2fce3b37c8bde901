"""Shapes of LabelMe, COCO and VIA are drawn as masks, as their files say."""

import concurrent.futures
import json

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.images.image_io import read_image, write_image

SIZE = (12, 16)
# In pixels: rows 2 to 7, columns 4 to 9, as x, y.
SQUARE = [[4, 2], [10, 2], [10, 8], [4, 8]]
CORNER = [[8, 6], [16, 6], [16, 12], [8, 12]]


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("a", "b"):
        write_image(folder / f"{name}.png", np.zeros((*SIZE, 3), "uint8"))
    return folder


def expected(*boxes):
    """A mask of values in boxes of first and last row and column."""
    mask = np.zeros(SIZE, "uint8")
    for value, top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = value
    return mask


def load(images, labels, **options):
    return kp.load_dataset_from_directory_with_segmentation_masks(
        images, labels, 16, verbose=False, shuffle=False, **options
    )


def mask_of(sequence, index=0):
    return sequence[0][1][index, : SIZE[0], : SIZE[1]]


def fails(images, labels, **options):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load(images, labels, **options)
    return str(error.value)


def write_labelme(folder, shapes, name="a", **fields):
    items = [
        {
            "label": label,
            "points": points,
            "group_id": None,
            "shape_type": kind,
            "flags": {},
        }
        for label, kind, points in shapes
    ]
    content = {
        "version": "5.5.0",
        "flags": {},
        "shapes": items,
        "imagePath": f"{name}.png",
        "imageData": None,
        "imageHeight": SIZE[0],
        "imageWidth": SIZE[1],
        **fields,
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(content))


def write_coco(path, annotations, categories=("crop", "weed")):
    content = {
        "images": [
            {"id": i, "file_name": f"{name}.png", "height": 12, "width": 16}
            for i, name in enumerate("ab")
        ],
        "categories": [
            {"id": 7 - i, "name": name} for i, name in enumerate(categories)
        ],
        "annotations": [
            {"id": i, "image_id": 0, "bbox": [0, 0, 1, 1], "iscrowd": 0, **each}
            for i, each in enumerate(annotations)
        ],
    }
    path.write_text(json.dumps(content))
    return path


def polygon(points):
    return [np.ravel(points).tolist()]


def write_via(path, regions):
    content = {
        f"{name}.png99": {
            "filename": f"{name}.png",
            "size": 99,
            "regions": regions if name == "a" else [],
            "file_attributes": {},
        }
        for name in "ab"
    }
    path.write_text(json.dumps(content))
    return path


def via_region(points, **attributes):
    xs, ys = zip(*points, strict=True)
    shape = {"name": "polygon", "all_points_x": xs, "all_points_y": ys}
    return {"shape_attributes": shape, "region_attributes": attributes}


@pytest.mark.parametrize("beside", [True, False], ids=["beside", "apart"])
def test_labelme_is_drawn_in_the_order_of_the_file(images, tmp_path, beside):
    folder = images if beside else tmp_path / "labels"
    shapes = [
        ("crop", "polygon", SQUARE),
        ("weed", "rectangle", [[8, 6], [16, 12]]),
        ("_background_", "polygon", [[12, 8], [14, 8], [14, 10], [12, 10]]),
    ]
    write_labelme(folder, shapes)
    write_labelme(folder, [], "b")
    names = ("_background_", "crop", "weed")
    sequence = load(images, folder, class_names=names)
    drawn = expected((1, 2, 8, 4, 10), (2, 6, 12, 8, 16), (0, 8, 10, 12, 14))
    np.testing.assert_array_equal(mask_of(sequence), drawn)
    assert not mask_of(sequence, 1).any()
    assert sequence.class_names == list(names)


def test_labels_without_an_order_are_asked_for(images, tmp_path):
    shapes = [("weed", "polygon", SQUARE), ("crop", "polygon", CORNER)]
    for name in "ab":
        write_labelme(tmp_path / "labels", shapes, name)
    message = fails(images, tmp_path / "labels")
    assert "class_names=('background', 'crop', 'weed')" in message
    for name in "ab":
        write_labelme(tmp_path / "labels", shapes[:1], name)
    sequence = load(images, tmp_path / "labels")
    assert sequence.class_names == ["background", "weed"]


def test_class_0_is_where_no_shape_is_and_not_an_object(images, tmp_path):
    labels = tmp_path / "labels"
    shapes = [("crop", "polygon", SQUARE), ("weed", "polygon", CORNER)]
    for name in "ab":
        write_labelme(labels, shapes, name)
    right = r"class_names=\('background', 'crop', 'weed'\)"
    with pytest.warns(UserWarning, match=f"of class 0, 'crop', .*{right}"):
        load(images, labels, class_names=("crop", "weed"))
    message = fails(images, labels, class_names=("crop", "background", "weed"))
    assert "class_names=('background', 'crop', 'weed')" in message


def test_the_background_of_coco_is_class_0_in_any_case(images, tmp_path):
    crop = {"category_id": 6, "segmentation": polygon(SQUARE)}
    labels = write_coco(tmp_path / "coco.json", [crop], ["Background", "crop"])
    sequence = load(images, labels)
    assert sequence.class_names == ["Background", "crop"]
    assert mask_of(sequence).max() == 1


@pytest.mark.parametrize(
    ("size", "counts", "words"),
    [
        ([6, 8], [0, 12, 36], "declares the size (height, width) (6, 8), and"),
        ([12, 16], [12, -6, 186], "expected run lengths that add up"),
        ([12, 16], [0.5, 191.5], "expected run lengths that add up"),
        ([-12, -16], [0, 12, 180], "expected positive whole numbers"),
        ([12, 16], "04", "do not add up to 12 x 16 pixels"),
    ],
)
def test_run_lengths_of_no_mask_of_their_image_are_told(
    images, tmp_path, size, counts, words
):
    mask = {"size": size, "counts": counts}
    labels = write_coco(
        tmp_path / "coco.json",
        [{"category_id": 7, "segmentation": mask}],
        ["crop"],
    )
    message = fails(images, labels)
    assert '["annotations"][0]' in message
    assert words in message


def test_coco_has_the_order_of_its_categories(images):
    # Down the columns: the first pixel of each of the first three.
    counts = [0, 1, 11, 1, 11, 1, 11 + 12 * 13]
    labels = write_coco(
        images / "labels.json",
        [
            {"category_id": 7, "segmentation": polygon(SQUARE)},
            {"category_id": 6, "segmentation": polygon(CORNER)},
            {
                "category_id": 6,
                "segmentation": {"size": [12, 16], "counts": counts},
            },
        ],
    )
    sequence = load(images, "labels.json")
    assert sequence.class_names == ["background", "weed", "crop"]
    drawn = expected((2, 2, 8, 4, 10), (1, 6, 12, 8, 16), (1, 0, 1, 0, 3))
    np.testing.assert_array_equal(mask_of(sequence), drawn)
    named = load(images, labels, class_names=("soil", "crop", "weed"))
    swapped = np.array([0, 2, 1])[drawn]
    np.testing.assert_array_equal(mask_of(named), swapped)


def test_packed_run_lengths_are_those_of_pycocotools(images, tmp_path):
    from pycocotools import mask as coco

    drawn = expected((1, 3, 9, 2, 13))
    packed = coco.encode(np.asfortranarray(drawn))
    packed["counts"] = packed["counts"].decode()
    labels = write_coco(
        tmp_path / "coco.json",
        [{"category_id": 7, "segmentation": packed}],
        "c",
    )
    np.testing.assert_array_equal(mask_of(load(images, labels)), drawn)


def test_crowds_are_unlabelled(images, tmp_path):
    crowd = {"category_id": 7, "segmentation": polygon(SQUARE), "iscrowd": 1}
    other = {"category_id": 7, "segmentation": polygon(CORNER)}
    labels = write_coco(tmp_path / "coco.json", [crowd, other], ["crop"])
    message = fails(images, labels)
    assert '["annotations"][0]: found a crowd (iscrowd)' in message
    assert "Pass ignore_value=255" in message
    sequence = load(images, labels, ignore_value=255)
    drawn = expected((255, 2, 8, 4, 10), (1, 6, 12, 8, 16))
    np.testing.assert_array_equal(mask_of(sequence), drawn)


def test_what_was_drawn_is_exported_as_masks(images, tmp_path):
    write_labelme(tmp_path / "labels", [("crop", "polygon", SQUARE)])
    sequence = load(images, tmp_path / "labels", unlabelled="skip")
    kp.data.export_patches(sequence.manifest_path, tmp_path / "out", False)
    again = load(tmp_path / "out/images", tmp_path / "out/masks")
    assert again.class_names == sequence.class_names == ["background", "crop"]
    np.testing.assert_array_equal(again[0][1], sequence[0][1])


def test_polygons_of_via_are_drawn(images, tmp_path):
    labels = write_via(
        tmp_path / "via.json",
        [via_region(SQUARE, label="crop"), via_region(CORNER, label="weed")],
    )
    sequence = load(images, labels, class_names=("soil", "crop", "weed"))
    drawn = expected((1, 2, 8, 4, 10), (2, 6, 12, 8, 16))
    np.testing.assert_array_equal(mask_of(sequence), drawn)
    # Without attributes there is one class, and it has no name.
    write_via(labels, [via_region(SQUARE)])
    np.testing.assert_array_equal(
        mask_of(load(images, labels)), expected((1, 2, 8, 4, 10))
    )


def test_images_that_no_file_names_are_asked_for(images, tmp_path):
    write_labelme(tmp_path / "labels", [("crop", "polygon", SQUARE)])
    assert "'b.png'" in fails(images, tmp_path / "labels")
    sequence = load(images, tmp_path / "labels", unlabelled="skip")
    assert sequence.image_names == ["a.png"]
    sequence = load(images, tmp_path / "labels", unlabelled="empty")
    assert sequence.image_names == ["a.png", "b.png"]


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (("crop", "line", SQUARE[:2]), "found a line, which has no area"),
        (("crop", "point", SQUARE[:1]), "found a point, which has no area"),
        (("tree", "polygon", SQUARE), "found the label 'tree', expected one"),
        (("__ignore__", "polygon", SQUARE), "Pass ignore_value=255"),
        (("crop", "polygon", [[4, 2], [40, 2], [4, 8]]), "x=4 to 40"),
    ],
)
def test_shapes_that_cannot_be_drawn_are_told_with_their_place(
    images, tmp_path, shape, found
):
    for name in "ab":
        write_labelme(tmp_path / "labels", [shape], name)
    message = fails(images, tmp_path / "labels", class_names=("soil", "crop"))
    assert f'{tmp_path / "labels" / "a.json"}, ["shapes"][0]: ' in message
    assert found in message
    assert not (tmp_path / "images_patches").exists()


def test_labels_of_an_image_of_another_size_are_told(images, tmp_path):
    for name in "ab":
        write_labelme(
            tmp_path / "labels",
            [("crop", "polygon", SQUARE)],
            name,
            imageHeight=24,
            imageWidth=32,
        )
    message = fails(images, tmp_path / "labels")
    assert "declares the size (height, width) (24, 32)" in message


def test_fractions_are_told(images, tmp_path):
    points = (np.array(SQUARE) / [16, 12]).tolist()
    labels = write_via(tmp_path / "via.json", [via_region(points, label="a")])
    assert "fractions of the image" in fails(images, labels)


def test_a_file_of_something_else_is_told(images, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text('{"a": 1}')
    assert "Expected a folder of masks, a folder of JSON" in fails(images, path)
    image = images / "a.png"
    assert f"{image}: is a file. Expected a folder" in fails(images, image)


def test_workers_draw_masks_and_another_order_draws_anew(images, tmp_path):
    shapes = [("crop", "polygon", SQUARE), ("weed", "polygon", CORNER)]
    options = {"class_names": ("soil", "crop", "weed")}
    for order in (1, -1):
        for name in "ab":
            write_labelme(tmp_path / "labels", shapes[::order], name)
        with concurrent.futures.ThreadPoolExecutor(1) as executor:
            sequence = load(
                images, tmp_path / "labels", executor=executor, **options
            )
        assert mask_of(sequence)[7, 9] == (2 if order == 1 else 1)
    assert len(list(sequence.directory.glob("*.json"))) == 1


def test_a_model_learns_the_names_of_drawn_classes(images, tmp_path):
    labels = write_coco(
        tmp_path / "coco.json",
        [{"category_id": 7, "segmentation": polygon(SQUARE)}],
        ["crop"],
    )
    conv = keras.layers.Conv2D(2, 1, activation="softmax")
    net = keras.Sequential([keras.Input((None, None, 3)), conv])
    model = kp.SemanticSegmentationModel(2, net, patch_size=16)
    train = model.load_dataset_from_directory_with_segmentation_masks(
        images, labels, verbose=False
    )
    model.compile("sgd")
    model.fit(train, verbose=0)
    assert model.class_names == ["background", "crop"]
    # All is background.
    conv.set_weights([np.zeros((1, 1, 3, 2)), np.array([1, 0])])
    evaluate = kp.callbacks.FullImageEvaluation(images, labels)
    evaluate.set_model(model)
    scores = model.evaluate_full_images(evaluate.images, evaluate.targets)
    assert scores["iou_0"] == 1 - 36 / (2 * 12 * 16)
    assert scores["iou_1"] == 0
    gallery = kp.callbacks.PredictionGallery(images, labels, tmp_path / "out")
    gallery.set_model(model)
    gallery.on_epoch_end(0)
    picture = read_image(tmp_path / "out" / "epoch_001_0.png")
    assert (picture == kp.visualization.COLORS[0]).all(axis=-1).any()
