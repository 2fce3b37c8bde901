"""Objects that no patch holds are found whole, and their parts yield."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.models.detection.large_objects import (
    merge_large_objects,
    size_for_large_objects,
)

ends = st.tuples(st.integers(0, 30), st.integers(1, 30)).map(
    lambda pair: (pair[0], pair[0] + pair[1])
)
boxes = st.tuples(ends, ends).map(
    lambda xy: (xy[0][0], xy[1][0], xy[0][1], xy[1][1])
)
found_boxes = st.lists(
    st.tuples(boxes, st.integers(0, 1), st.booleans()), max_size=8
)


def as_found(rows, first_score):
    scores = first_score - np.arange(len(rows)) / 100
    return {
        "boxes": np.array([row[0] for row in rows], float).reshape(-1, 4),
        "scores": scores.astype("float32"),
        "labels": np.array([row[1] for row in rows], int),
    }


def shared_area(one, other):
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0) * max(height, 0)


def area_of(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def by_hand(tiles, large, overlap):
    """The rule in plain words, of lists of `(box, label, is cut)`."""
    large = [
        (box, label)
        for box, label, _ in large
        if box[3] - box[1] > overlap[0] or box[2] - box[0] > overlap[1]
    ]
    kept = [
        (box, label)
        for box, label, is_cut in tiles
        if not is_cut
        or not any(
            label == other
            and area_of(box) < area_of(whole)
            and shared_area(box, whole) > area_of(box) / 2
            for whole, other in large
        )
    ]
    added = [
        (whole, label)
        for whole, label in large
        if not any(
            label == other
            and 3 * shared_area(box, whole) > area_of(box) + area_of(whole)
            for box, other in kept
        )
    ]
    return sorted(kept + added)


@settings(max_examples=80)
@given(
    found_boxes,
    found_boxes,
    st.tuples(st.integers(0, 25), st.integers(0, 25)),
    st.booleans(),
)
def test_parts_yield_and_one_object_is_one_box(tiles, large, overlap, first):
    scores = (0.9, 0.8) if first else (0.8, 0.9)
    cut = np.array([row[2] for row in tiles], bool)
    merged = merge_large_objects(
        as_found(tiles, scores[0]), cut, as_found(large, scores[1]), overlap
    )
    assert (np.diff(merged["scores"]) <= 0).all()
    rows = zip(
        map(tuple, merged["boxes"].astype(int).tolist()),
        merged["labels"].tolist(),
        strict=True,
    )
    assert sorted(rows) == by_hand(tiles, large, overlap)


def test_a_part_inside_of_the_whole_yields_with_ios_whatever_its_score():
    part = as_found([((40, 40, 60, 60), 0, False)], 0.9)
    whole = as_found([((0, 0, 100, 100), 0, False)], 0.5)
    how = np.zeros(1, bool), whole, (16, 16), 0.5
    assert len(merge_large_objects(part, *how, "iou")["boxes"]) == 2
    merged = merge_large_objects(part, *how, "ios")
    assert merged["boxes"].tolist() == [[0, 0, 100, 100]]


@pytest.mark.parametrize(
    ("image_size", "large_objects", "expected"),
    [
        ((100, 320), False, None),
        ((100, 320), True, (20, 64)),
        ((60, 64), True, None),
        ((100, 320), np.True_, (20, 64)),
        ((100, 320), np.False_, None),
        ((65, 64), True, (33, 32)),
        ((1000, 3200), 32, (500, 1600)),  # to half: no longer than the overlap
        ((1000, 3200), 16, None),
        ((100, 320), 10**6, (20, 64)),  # but no smaller than a patch
    ],
)
def test_images_are_reduced_until_objects_fit(
    image_size, large_objects, expected
):
    found = size_for_large_objects(
        image_size, (64, 64), (16, 16), large_objects
    )
    assert found == expected


@keras.saving.register_keras_serializable(package="tests")
def one_box_of_each_channel(images):
    """Finds the bright pixels of each channel, as one box."""
    bright = images > 128
    boxes = []
    for axis in (2, 1):  # those of x, then of y
        line = ops.cast(ops.any(bright, axis=3 - axis), "float32")
        length = line.shape[1]
        numbers = ops.reshape(ops.arange(length, dtype="float32"), (1, -1, 1))
        first = ops.min(ops.where(line > 0, numbers, length), axis=1)
        last = ops.max(ops.where(line > 0, numbers + 1, 0.0), axis=1)
        boxes.append((first, last))
    (x1, x2), (y1, y2) = boxes
    is_there = x2 > x1
    labels = ops.broadcast_to(ops.arange(3, dtype="int32"), ops.shape(x1))
    return {
        "boxes": ops.stack([x1, y1, x2, y2], axis=-1),
        "scores": ops.where(is_there, 0.9, -1.0),
        "labels": ops.where(is_there, labels, -1),
    }


@pytest.fixture(scope="module")
def model():
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Identity()]
    )
    return kp.ObjectDetectionModel(
        net,
        class_names=("red", "green", "blue"),
        prediction_decoder=one_box_of_each_channel,
        patch_size=64,
        overlap=16,
    )


LARGE = [20, 30, 200, 130]
SMALL = [150, 100, 162, 110]


@pytest.fixture(scope="module")
def image():
    """A red object three patches wide, and a small green one."""
    image = np.zeros((150, 240, 3), "uint8")
    for channel, (x1, y1, x2, y2) in enumerate((LARGE, SMALL)):
        image[y1:y2, x1:x2, channel] = 255
    return image


def boxes_of(found, label):
    return found["boxes"][found["labels"] == label]


def assert_whole(found):
    (large,) = boxes_of(found, 0)
    np.testing.assert_allclose(large, LARGE, atol=4)  # a reduced pixel
    (small,) = boxes_of(found, 1)
    np.testing.assert_array_equal(small, SMALL)


def test_an_object_of_several_patches_is_one_box(model, image):
    (parts,) = model.predict_images([image], verbose=False)
    assert len(boxes_of(parts, 0)) > 3
    images = [image, image[:60, :60], image]
    how = {"verbose": False, "large_objects": True}
    first, none, last = model.predict_images(images, **how)
    assert_whole(first)
    assert_whole(last)
    assert len(none["boxes"]) == 1  # as large as a patch
    by_length = {"verbose": False, "large_objects": 60}
    (found,) = model.predict_images(iter([image]), **by_length)
    assert_whole(found)


def test_raw_predictions_are_merged_the_same(model, image):
    small = np.asarray(
        keras.ops.convert_to_numpy(
            keras.ops.image.resize(
                image[None].astype("float32"), (38, 60), antialias=True
            )
        )
    )
    how = model.predict(image[None], verbose=0), image.shape[:2]
    reduced = model.predict(small, verbose=0)
    (found,) = model.merge_predictions(
        *how, reduced=reduced, reduced_size=(38, 60)
    )
    assert_whole(found)
    with pytest.raises(ValueError, match="`reduced_size` go together"):
        model.merge_predictions(*how, reduced=reduced)


def test_files_are_predicted_so(model, image, tmp_path):
    write_image(tmp_path / "a.png", image)
    done = kp.inference.predict_files(
        model,
        [tmp_path / "a.png"],
        tmp_path / "out",
        large_objects=True,
        verbose=False,
    )
    assert not done.faults
    assert done.rows[0]["count_red"] == done.rows[0]["count_green"] == 1
    (box,) = [row for row in done.tables["boxes.csv"] if row["label"] == "red"]
    found = [box[name] for name in ("x1", "y1", "x2", "y2")]
    np.testing.assert_allclose(found, LARGE, atol=4)


def test_an_image_that_cannot_be_read_is_told_and_others_go_on(
    model, image, tmp_path
):
    write_image(tmp_path / "good.png", image)
    good = (tmp_path / "good.png").read_bytes()
    (tmp_path / "bad.png").write_bytes(good[: len(good) // 2])
    done = kp.inference.predict_files(
        model, [tmp_path], tmp_path / "out", large_objects=True, verbose=False
    )
    assert [row["image"] for row in done.rows] == ["good.png"]
    assert len(done.faults) == 1
    assert "bad.png" in done.faults[0]


def test_what_is_no_length_is_refused(model, image):
    for value in (0, -3, 1.5, "yes"):
        with pytest.raises(ValueError, match="`large_objects` must be"):
            model.predict_images([image], large_objects=value)
    with pytest.raises(ValueError, match="leave out the `transform`"):
        model.predict_images([image], large_objects=True, transform="patches")
