"""The detection task: whole images, merged boxes, the whole journey."""

import json

import keras
import numpy as np
import pytest
from checks import check_task_model
from keras import ops

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.models.detection.yolo_net import yolo_net

CLASS_NAMES = ("red", "blue")
COLORS = ((230, 60, 40), (40, 90, 230))
PATCH = 64


def scene(size, seed, count=14):
    """Rectangles of two colours on noise: `(image, boxes, labels)`."""
    rng = np.random.default_rng(seed)
    image = rng.normal(90, 12, (*size, 3))
    boxes, labels = [], []
    for _ in range(count):
        lengths = rng.integers(10, 26, 2)
        y, x = rng.integers(0, np.array(size) - lengths)
        box = [x, y, x + lengths[1], y + lengths[0]]
        if any(touch(box, other) for other in boxes):
            continue
        label = int(rng.integers(2))
        inside = image[box[1] : box[3], box[0] : box[2]]
        inside[:] = COLORS[label] + rng.normal(0, 12, inside.shape)
        boxes.append(box)
        labels.append(label)
    truth = {"boxes": np.array(boxes, float), "labels": np.array(labels)}
    return image.clip(0, 255).astype("uint8"), truth


def touch(box, other):
    low, high = np.maximum(box[:2], other[:2]), np.minimum(box[2:], other[2:])
    return (high > low - 2).all()


def write_scenes(folder, count=12):
    (folder / "images").mkdir()
    entries = {}
    for index in range(count):
        image, truth = scene((128, 160), index)
        write_image(folder / f"images/{index}.png", image)
        entries[f"{index}"] = {
            "objects": [
                {
                    "all_points_x": [x1, x2],
                    "all_points_y": [y1, y2],
                    "label": CLASS_NAMES[label],
                }
                for (x1, y1, x2, y2), label in zip(
                    truth["boxes"].tolist(), truth["labels"], strict=True
                )
            ]
        }
    (folder / "labels.json").write_text(json.dumps(entries))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder)
    keras.utils.set_random_seed(0)
    anchors = ((18, 18), (12, 22), (22, 12))
    net = yolo_net((4, 4), len(anchors), 2, filters=(16, 32, 48, 64))
    model = kp.ObjectDetectionModel(net, 4, anchors, CLASS_NAMES, overlap=32)
    model.set_patch_size(PATCH)
    train = model.load_yolo_dataset_from_directory(
        folder / "labels.json",
        folder / "images",
        seed=0,
        batch_size=32,
        store="images",
        verbose=False,
    )
    epochs = 18
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, epochs * len(train), 0.02, warmup_target=3e-3, warmup_steps=30
    )
    model.compile(keras.optimizers.Adam(rate))
    resample = kp.callbacks.ResamplePatches(train, every=4)
    model.fit(train, epochs=epochs, verbose=0, callbacks=[resample])
    return model


def test_it_is_a_model_as_all_others_of_keras(tmp_path):
    boxes = np.full((2, 3, 4), -1.0, "float32")
    boxes[:, 0], boxes[:, 1] = [0, 0, 5, 5], [9, 9, 14, 14]
    targets = {"boxes": boxes, "labels": np.array([[0, 1, -1]] * 2)}
    options = {
        "grid_size": (2, 2),
        "anchors": ((9, 9), (5, 7)),
        "class_names": CLASS_NAMES,
        "value_range": (0, 1),
        "patch_size": 16,
        "overlap": 8,
    }
    rng = np.random.default_rng(0)
    check_task_model(
        kp.ObjectDetectionModel,
        lambda: {"patch_model": net_of_cells(14), **options},
        rng.random((2, 16, 16, 3)),
        targets,
        rng.random((1, 19, 30, 3)).astype("float32"),
        tmp_path,
    )


def test_merged_detections_of_whole_images_find_the_objects(trained):
    images, truths = zip(
        *(scene((150, 140), 100 + seed) for seed in range(8)), strict=True
    )
    scores = trained.evaluate_full_images(images, truths)
    assert scores["ap50"] >= 0.9
    height_first = [{"boxes": np.array([[141, 0, 149, 9]]), "labels": [0]}] * 8
    with pytest.raises(ValueError, match=r"targets\[0\].* swapped"):
        trained.evaluate_full_images(images, height_first)


def test_boxes_of_patches_are_where_the_merged_ones_come_from(trained):
    image, _ = scene((150, 140), 7)
    raw = trained.predict(image[None], verbose=0)
    assert raw.shape[:3] == (1, 4, 4)
    patches = trained.decode_predictions(raw, image_size=image.shape[:2])[0]
    assert len(patches) == 16
    assert patches[-1]["origin"] == (150 - PATCH, 140 - PATCH)
    merged = trained.merge_predictions(raw, image.shape[:2])[0]
    placed = np.concatenate(
        [
            patch["boxes"] + [*patch["origin"][::-1]] * 2
            for patch in patches
            if len(patch["boxes"])
        ]
    ).clip(0, [140, 150] * 2)
    distances = np.abs(merged["boxes"][:, None] - placed).max(axis=-1)
    assert len(merged["boxes"])
    assert (distances.min(axis=1) < 1e-2).all()
    assert (merged["boxes"] >= 0).all()
    assert (merged["boxes"] <= [140, 150] * 2).all()


@keras.saving.register_keras_serializable(package="tests")
def bright_blobs(outputs):
    """Decode the place of the brightest pixel of each patch."""
    flat = ops.reshape(outputs, (-1, PATCH * PATCH))
    place = ops.argmax(flat, axis=1)
    x = ops.cast(place % PATCH, "float32")
    y = ops.cast(place // PATCH, "float32")
    scores = ops.max(flat, axis=1) / 255
    return {
        "boxes": ops.stack([x, y, x + 1, y + 1], axis=-1)[:, None],
        "scores": scores[:, None],
        "labels": ops.zeros_like(scores[:, None], dtype="int32"),
    }


def blob_model(**kwargs):
    net = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.Identity()]
    )
    return kp.ObjectDetectionModel(net, channels=1, patch_size=PATCH, **kwargs)


def test_another_detector_is_tiled_and_merged_the_same_way():
    model = blob_model(prediction_decoder=bright_blobs, overlap=16)
    image = np.zeros((1, 100, 150, 1), "uint8")
    points = [(5, 9), (50, 60), (99, 149)]  # one in each patch
    for y, x in points:
        image[0, y, x] = 200
    again = type(model).from_config(model.get_config())
    for each in (model, again):
        raw = each.predict(image, verbose=0)
        merged = each.merge_predictions(raw, (100, 150), 0.5)[0]
        found = {(int(y), int(x)) for x, y in merged["boxes"][:, :2]}
        assert found == set(points)


def test_a_decoder_is_always_given_as_many_patches():
    given = set()  # on jax, each number would be compiled anew

    def decode(outputs):
        given.add(tuple(outputs.shape))
        return bright_blobs(outputs)

    model = blob_model(prediction_decoder=decode, overlap=16)
    for size in ((64, 64), (100, 150), (500, 400)):
        image = np.zeros((2, *size, 1), "uint8")
        image[:, size[0] - 3, size[1] - 2] = 200
        raw = model.predict(image, verbose=0)
        merged = model.merge_predictions(raw, size, 0.5)
        patches = model.decode_predictions(raw, 0.5, image_size=size)
        for one, its_patches in zip(merged, patches, strict=True):
            corner = one["boxes"][:, :2].tolist()
            assert corner == [[size[1] - 2, size[0] - 3]]
            assert sum(len(each["boxes"]) for each in its_patches) == 1
            assert len(its_patches[-1]["boxes"]) == 1
    assert len(given) == 1


def test_a_decoder_may_find_more_in_some_patches_than_in_others():
    def decode(outputs):
        found = bright_blobs(outputs)
        most = int(ops.convert_to_numpy(outputs).max()) // 100
        return {
            name: ops.repeat(values, most, axis=1)
            for name, values in found.items()
        }

    model = blob_model(prediction_decoder=decode, overlap=16)
    image = np.full((1, 500, 400, 1), 100, "uint8")
    image[0, 495, 395] = 200
    raw = model.predict(image, verbose=0)
    (merged,) = model.merge_predictions(raw, (500, 400), 0.5)
    assert [395, 495, 396, 496] in merged["boxes"].tolist()
    assert (merged["boxes"] >= 0).all()


def test_merging_patches_without_overlap_warns_once_of_the_seams():
    model = blob_model(prediction_decoder=bright_blobs)
    one, four = (
        model.predict(np.zeros((1, *size, 1), "uint8"), verbose=0)
        for size in ((PATCH, PATCH), (PATCH + 1, PATCH + 1))
    )
    model.merge_predictions(one, (PATCH, PATCH))  # a warning would fail
    model.decode_predictions(four)
    advice = r"seam.*`model\.set_tiling\(overlap=64\)`, and predict again"
    with pytest.warns(UserWarning, match=advice) as caught:
        model.merge_predictions(four, (PATCH + 1, PATCH + 1))
    assert caught[0].filename == __file__
    model.merge_predictions(four, (PATCH + 1, PATCH + 1))
    other = blob_model(prediction_decoder=bright_blobs)
    with pytest.warns(UserWarning, match="seam"):
        other.merge_predictions(four, (PATCH + 1, PATCH + 1))
    model.set_tiling(overlap=16)
    raw = model.predict(np.zeros((1, PATCH + 1, PATCH, 1), "uint8"), verbose=0)
    model.merge_predictions(raw, (PATCH + 1, PATCH))


def test_objects_that_find_no_anchor_are_reported():
    net = yolo_net((2, 2), 1, 1, filters=(8, 8))
    model = kp.ObjectDetectionModel(net, 2, ((9, 9),), patch_size=16)
    model.compile("adam")
    boxes = np.full((2, 3, 4), -1.0, "float32")
    boxes[:, 0], boxes[:, 1] = [0, 0, 5, 5], [1, 1, 6, 6]  # of one cell
    labels = np.array([[0, 0, -1], [0, 0, -1]])
    images = np.zeros((2, 16, 16, 3), "uint8")
    history = model.fit(
        images, {"boxes": boxes, "labels": labels}, verbose=0
    ).history
    assert history["unassigned_objects"] == [2]


def test_overlapping_patches_need_the_size_of_the_image():
    net = yolo_net((2, 2), 1, 1, filters=(8, 8))
    model = kp.ObjectDetectionModel(net, 2, ((9, 9),), overlap=8, patch_size=16)
    raw = model.predict(np.zeros((1, 40, 30, 3), "uint8"), verbose=0)
    with pytest.raises(ValueError, match="image_size"):
        model.decode_predictions(raw)
    with pytest.raises(ValueError, match="size of the images"):
        model.merge_predictions(raw, (400, 300))


def net_of_cells(values):
    """A detector of one convolution, with cells of 8 pixels."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Conv2D(values, 1),
        ]
    )


def test_a_grid_of_columns_before_rows_is_told():
    net = keras.Sequential(
        [
            keras.Input((16, 24, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Conv2D(6, 1),
        ]
    )
    kp.ObjectDetectionModel(net, (2, 3), ((9, 9),))
    with pytest.raises(ValueError, match="swapped: give the rows first"):
        kp.ObjectDetectionModel(net, (3, 2), ((9, 9),))


def tiny_model(**kwargs):
    """A detector of one anchor and one class."""
    return kp.ObjectDetectionModel(
        net_of_cells(6), 2, ((9, 9),), patch_size=16, **{"overlap": 8, **kwargs}
    )


RAW = np.zeros((1, 4, 3, 2, 2, 6), "float32")
SIZE = (40, 32)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (RAW[0], r"predictions\[None\].*\(4, 3, 2, 2, 6\)"),
        (RAW[..., :5], r"\(batch, rows, cols, 2, 2, 6\)"),
        (np.zeros((1, 4, 3, 4, 4, 6)), r"\(batch, rows, cols, 2, 2, 6\)"),
        (np.full_like(RAW, np.nan), "are NaN"),
        ([RAW, RAW[:, :2]], "one size"),
        (None, "a NoneType"),
    ],
)
def test_what_the_model_does_not_predict_is_refused(raw, message):
    model = tiny_model()
    for use in (model.decode_predictions, model.merge_predictions):
        with pytest.raises(ValueError, match=message):
            use(raw, image_size=SIZE)


@pytest.mark.parametrize(
    ("image_size", "message"),
    [
        ((32, 40), r"\(width, height\) would fit"),
        ((40.0, 32), "`image_size` must be"),
        ((40, 32, 3), "`image_size` must be"),
        ((0, 32), "at least one pixel"),
        ((400, 300), "size of the images that were predicted"),
    ],
)
def test_sizes_that_are_not_of_these_predictions_are_refused(
    image_size, message
):
    model = tiny_model()
    for use in (model.decode_predictions, model.merge_predictions):
        with pytest.raises(ValueError, match=message):
            use(RAW, image_size=image_size)


def test_merging_needs_the_size_of_the_image_without_overlap_too():
    with pytest.raises(ValueError, match=r"image\.shape\[:2\]"):
        tiny_model(overlap=0).merge_predictions(RAW, None)
    patches = tiny_model(overlap=0).decode_predictions(RAW)
    assert [len(patches), len(patches[0])] == [1, 12]


@pytest.mark.parametrize(
    ("kwargs", "only_merging"),
    [
        ({"score_threshold": 30}, False),
        ({"score_threshold": None}, False),
        ({"iou_threshold": -0.1}, False),
        ({"iou_threshold": np.nan}, False),
        ({"match_metric": "giou"}, True),
        ({"margin": -1}, True),
    ],
)
def test_thresholds_that_mean_nothing_are_refused(kwargs, only_merging):
    model, (name,) = tiny_model(), kwargs
    uses = [model.merge_predictions]
    uses += [] if only_merging else [model.decode_predictions]
    for use in uses:
        with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
            use(RAW, image_size=SIZE, **kwargs)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda found: {**found, "scores": 9 * found["scores"]}, "logits"),
        (lambda found: {**found, "scores": found["scores"][0]}, r"\(n, k\)"),
        (lambda found: {"boxes": found["boxes"]}, "boxes, scores and labels"),
        (lambda found: found["boxes"], "Received: a "),
    ],
)
def test_a_decoder_that_gives_something_else_is_told_so(change, message):
    model = blob_model(
        prediction_decoder=lambda outputs: change(bright_blobs(outputs))
    )
    image = np.full((1, PATCH, PATCH, 1), 200, "uint8")
    raw = model.predict(image, verbose=0)
    with pytest.raises(ValueError, match=message):
        model.merge_predictions(raw, (PATCH, PATCH))


def test_boxes_that_are_not_of_the_image_are_refused_before_predicting():
    model, image = tiny_model(), np.zeros((40, 20, 3), "uint8")
    truth = {"boxes": [[2, 30, 9, 38]], "labels": [0]}
    model.evaluate_full_images([image], [truth])
    for change, message in (
        ({"boxes": [[30, 2, 38, 9]]}, "With x and y swapped"),
        ({"boxes": [[2, 30, 7, 8]]}, "it may be a size"),
        ({"boxes": [[0.1, 0.2, 0.4, 0.5]]}, "fractions"),
        ({"labels": [1]}, "from 0 to 0"),
        ({"labels": [0, 0]}, "1 boxes, 2 labels"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            model.evaluate_full_images([image], [{**truth, **change}])
        assert "`targets[0]`" in str(error.value)
    with pytest.raises(ValueError, match="1 images, 2 targets"):
        model.evaluate_full_images([image], [truth, truth])
    with pytest.raises(ValueError, match=r"pass \[targets\]"):
        model.evaluate_full_images([image], truth)


def test_boxes_are_scored_as_read_boxes_gives_them(tmp_path):
    write_scenes(tmp_path, count=2)
    boxes = kp.read_boxes("../labels.json", tmp_path / "images", CLASS_NAMES)
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Conv2D(7, 1),
        ]
    )
    model = kp.ObjectDetectionModel(
        net, 2, ((9, 9),), CLASS_NAMES, patch_size=16, overlap=8
    )
    scores = model.evaluate_full_images(tmp_path / "images", boxes)
    assert set(scores) == {"ap50", "ap50_95"}
    with pytest.raises(ValueError, match="as `read_boxes` gives"):
        model.evaluate_full_images(tmp_path / "images", "labels.json")


def test_a_patch_model_of_another_output_is_refused():
    net = yolo_net((2, 2), 1, 1, filters=(8, 8))
    with pytest.raises(ValueError, match="for each of 2 anchors"):
        kp.ObjectDetectionModel(net, 2, ((9, 9), (5, 5)))


@pytest.mark.parametrize(
    "options",
    [{"anchors": ()}, {"anchors": ((0, 3),)}, {"class_names": "plant"}],
)
def test_arguments_that_make_no_sense_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        kp.ObjectDetectionModel(**options)


@pytest.mark.parametrize(
    "kwargs", [{"overlap": "auto"}, {"predict_patch_size": 64}]
)
def test_what_only_stitched_patches_can_have_is_refused(kwargs):
    with pytest.raises(ValueError, match="merged, not stitched"):
        kp.ObjectDetectionModel(grid_size=2, **kwargs)
    net = yolo_net((2, 2), 1, 1, filters=(8, 8))
    model = kp.ObjectDetectionModel(net, 2, ((9, 9),), patch_size=16)
    with pytest.raises(ValueError, match="merged, not stitched"):
        model.set_tiling(**kwargs)
    model.set_tiling(overlap=8)
    raw = model.predict(np.zeros((1, 32, 32, 3), "uint8"), verbose=0)
    assert raw.shape[:3] == (1, 3, 3)
