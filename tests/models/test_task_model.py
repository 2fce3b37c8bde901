"""What the models of all tasks share: images and truth as their users have."""

import keras
import numpy as np
import pytest

from keras_patching import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    SemanticSegmentationModel,
)
from keras_patching.data.images.image_io import write_image

SIZES = {"a.png": (20, 30), "b.png": (25, 16)}


def net(outputs, channels=3):
    inputs = keras.Input((None, None, channels))
    return keras.Model(inputs, keras.layers.Conv2D(outputs, 1)(inputs))


def segmenter(channels=3, **kwargs):
    return SemanticSegmentationModel(
        2, net(2), activation="linear", channels=channels, **kwargs
    )


def counter(**kwargs):
    return HeatmapObjectCountingModel(net(1), **kwargs)


def detector(**kwargs):
    return ObjectDetectionModel(
        keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Conv2D(6, 8)]),
        **{"grid_size": 1, "anchors": [(4, 4)], **kwargs},
    )


@pytest.mark.parametrize("make", [segmenter, counter, detector])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("channels", value) for value in ("3", 3.0, 0, True)),
        *(
            ("value_range", value)
            for value in (5, None, "ab", (0,), (1, 1), (0, np.inf), ("0", "1"))
        ),
    ],
)
def test_a_model_of_any_task_refuses_images_that_no_loader_takes(
    make, name, value
):
    with pytest.raises(ValueError, match=rf"`{name}` must .*: {name}="):
        make(**{name: value})


@pytest.mark.parametrize("make", [segmenter, detector])
@pytest.mark.parametrize("names", ["ab", ("a", "a"), (1, 2), (), 5])
def test_a_model_with_classes_needs_a_name_for_each(make, names):
    with pytest.raises(ValueError, match=r"`class_names` must .*class_names="):
        make(class_names=names)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("num_classes", value) for value in ("2", 2.0, 1, None)),
        *(("ignore_value", value) for value in ("255", 255.0, -1)),
    ],
)
def test_class_ids_of_a_model_are_those_that_masks_can_hold(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` must .*: {name}="):
        SemanticSegmentationModel(
            **{"patch_model": net(2), "activation": "linear", name: value}
        )


@pytest.fixture
def folder(tmp_path):
    """Images and masks of two sizes, of which the names are the same."""
    for name, size in SIZES.items():
        for kind in ("images", "masks"):
            (tmp_path / kind).mkdir(exist_ok=True)
            shape = (*size, 3) if kind == "images" else size
            write_image(tmp_path / kind / name, np.ones(shape, "uint8"))
    return tmp_path


def test_a_file_is_read_as_the_model_takes_it(folder):
    path = folder / "images" / "a.png"
    for given in (path, str(path)):
        image = segmenter().read_image(given)
        assert (image.shape, image.dtype) == ((20, 30, 3), np.uint8)
    with pytest.raises(ValueError, match=r"a\.png: has 3 channels, expected 1"):
        segmenter(channels=1).read_image(path)
    array = np.zeros((4, 5, 3), "float32")
    assert segmenter().read_image(array) is array


def test_a_file_beyond_the_value_range_is_refused_by_name(folder):
    path = folder / "deep.tif"
    write_image(path, np.full((9, 9, 3), 4000, "uint16"))
    with pytest.raises(ValueError, match=r"deep\.tif.*value_range=\(0, 4095\)"):
        segmenter().read_image(path)
    model = segmenter(value_range=(0, 4095))
    assert model.read_image(path).max() == 4000


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((1, 9, 9, 3), 256.0), r"from 0 to 255.*256"),
        (np.full((1, 9, 9, 3), -1), "from 0 to 255"),
        (np.full((1, 9, 9, 3), np.nan), "from 0 to 255.*nan"),
    ],
    ids=["white", "black", "nan"],
)
def test_arrays_beyond_the_value_range_are_refused(images, message):
    model = segmenter(patch_size=8)
    with pytest.raises(ValueError, match=message):
        model.predict(images, verbose=0)


def test_floats_up_to_one_are_doubted_where_white_is_255():
    image = np.full((1, 8, 8, 3), 0.5, "float32")
    model = segmenter(patch_size=8)
    with pytest.warns(UserWarning, match="Multiply them by 255"):
        model.predict(image, verbose=0)
    segmenter(patch_size=8, value_range=(0, 1)).predict(image, verbose=0)


def test_what_lies_beyond_an_image_is_black():
    assert segmenter(value_range=(-1, 1)).predictor.pad_value == -1
    model = segmenter(value_range=(-1, 1), pad_value=0)
    assert model.predictor.pad_value == 0


def test_images_pair_with_their_truth_however_both_are_given(folder):
    model = segmenter()
    images = sorted((folder / "images").iterdir())
    arrays = [model.read_image(path) for path in images]
    masks = [np.zeros(size, "uint8") for size in SIZES.values()]
    for given, targets in (
        (folder / "images", folder / "masks"),
        (folder / "images", masks),
        (images, dict(zip(SIZES, masks, strict=True))),
        (images, folder / "masks"),
        (arrays, masks),
    ):
        pairs = model.pair_full_images(given, targets)
        assert [model.read_image(i).shape[:2] for i, _ in pairs] == [
            model.read_image(target).shape[:2] for _, target in pairs
        ]
    with pytest.raises(ValueError, match="2 images, 1 targets"):
        model.pair_full_images(images, masks[:1])
    with pytest.raises(ValueError, match=r"as high and wide as its image"):
        model.pair_full_images(images, masks[::-1])


def test_truth_is_named_in_the_words_of_the_task(folder):
    model = HeatmapObjectCountingModel(net(1))
    with pytest.raises(ValueError, match="as `read_points` gives"):
        model.pair_full_images(folder / "images", folder / "masks")
    found = model.pair_full_images(
        folder / "images", {"a.png": [], "b.png": [(24, 15)]}
    )
    assert [len(points) for _, points in found] == [0, 1]
