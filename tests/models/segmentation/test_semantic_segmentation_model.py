"""The segmentation task: heads, decoding, evaluation, the whole journey."""

import keras
import numpy as np
import pytest
from checks import check_task_model

from keras_patching import (
    PatchingSequence,
    SegmentationLoss,
    SemanticSegmentationModel,
)
from keras_patching.data.images.image_io import write_image


def field(size, seed):
    """Bright discs on noise: `(image, mask)`."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[0], : size[1]]
    mask = np.zeros(size, "uint8")
    for _ in range(6):
        center, radius = rng.uniform(0, size, 2), rng.uniform(4, 9)
        mask[np.hypot(y - center[0], x - center[1]) < radius] = 1
    image = rng.normal(90, 30, (*size, 3)) + 90 * mask[..., None]
    return image.clip(0, 255).astype("uint8"), mask


@pytest.fixture
def folders(tmp_path):
    for index in range(5):
        image, mask = field((70 + index, 90), index)
        for name, array in (("images", image), ("masks", mask * 255)):
            (tmp_path / name).mkdir(exist_ok=True)
            write_image(tmp_path / name / f"{index}.png", array)
    return tmp_path / "images", tmp_path / "masks"


def head(outputs, activation, channels=3):
    return keras.Sequential(
        [
            keras.Input((None, None, channels)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(16, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(outputs, 1, activation=activation),
        ]
    )


def test_it_is_a_model_as_all_others_of_keras(tmp_path):
    rng = np.random.default_rng(0)
    options = {
        "num_classes": 3,
        "activation": "linear",
        "ignore_value": 9,
        "class_names": ["soil", "maize", "weed"],
        "channels": 1,
        "value_range": (-1, 1),
        "patch_size": 8,
        "overlap": 2,
    }
    masks = rng.integers(0, 3, (2, 8, 8)).astype("uint8")
    masks[:, :2] = 9
    check_task_model(
        SemanticSegmentationModel,
        lambda: {"patch_model": head(3, None, channels=1), **options},
        rng.uniform(-1, 1, (2, 8, 8, 1)),
        masks,
        rng.uniform(-1, 1, (1, 19, 30, 1)).astype("float32"),
        tmp_path,
    )


def test_the_journey_from_folders_to_masks_of_whole_images(folders, capsys):
    model = SemanticSegmentationModel(num_classes=2)
    model.set_patch_size(height=32, width=32)
    train, val = model.load_dataset_from_directory_with_segmentation_masks(
        *folders, validation_split=0.2, subset="both", seed=0, batch_size=9
    )
    assert isinstance(train, PatchingSequence)
    model.compile(keras.optimizers.Adam(3e-3))
    model.fit(train, validation_data=val, epochs=4, verbose=0)
    image, mask = field((101, 67), 99)
    probabilities = model.predict(image[None], verbose=0)
    assert probabilities.shape == (1, 101, 67, 2)
    np.testing.assert_allclose(probabilities.sum(-1), 1, rtol=1e-4)
    predicted = model.decode_predictions(probabilities)
    assert predicted.dtype == "uint8"
    assert (predicted[0] == mask).mean() > 0.9


@pytest.mark.parametrize(
    ("num_classes", "channels", "activation"),
    [
        (2, 2, "softmax"),
        (2, 1, "sigmoid"),
        (2, 1, "linear"),
        (2, 2, "linear"),
        (3, 3, "softmax"),
        (3, 3, "linear"),
    ],
)
def test_every_head_is_recognised_trained_and_decoded(
    num_classes, channels, activation
):
    model = SemanticSegmentationModel(
        num_classes, head(channels, activation), patch_size=16
    )
    assert model.activation == activation
    model.compile(keras.optimizers.Adam(3e-2))
    rng = np.random.default_rng(0)
    masks = rng.integers(0, num_classes, (16, 4, 4)).repeat(4, 1).repeat(4, 2)
    images = masks[..., None] * 100 + rng.integers(0, 50, (16, 16, 16, 3))
    images, masks = images.astype("uint8"), masks.astype("uint8")
    model.fit(images, masks, epochs=60, verbose=0)
    predicted = model.decode_predictions(model.predict(images, verbose=0))
    assert (predicted == masks).mean() > 0.9


@pytest.mark.parametrize(
    ("predictions", "message"),
    [
        (np.full((8, 8, 2), 0.5), r"predictions\[None\].*\(8, 8, 2\)"),
        (np.zeros((1, 8, 8), "uint8"), r"\(batch, height, width, 2\)"),
        (np.full((1, 8, 8, 3), 0.5), r"shape \(1, 8, 8, 3\)"),
        (np.full((1, 8, 8, 2), np.nan), "128 of 128 values are NaN"),
        (np.full((1, 8, 8, 2), -3.0), r'activation="linear".*-3 to -3'),
        (np.full((1, 8, 8, 2), 1.5), "look like logits"),
        (np.zeros((1, 8, 8, 2), object), "numbers"),
    ],
)
def test_what_is_no_prediction_is_not_decoded(predictions, message):
    model = SemanticSegmentationModel(2, head(2, "softmax"))
    with pytest.raises(ValueError, match=message):
        model.decode_predictions(predictions)


def test_a_model_of_logits_decodes_the_logits_that_another_refuses():
    logits = np.array([[[[-3.0, 5.0]]]])
    model = SemanticSegmentationModel(2, head(2, None), activation="linear")
    assert model.decode_predictions(logits).tolist() == [[[1]]]


def test_an_activation_layer_and_nested_models_are_looked_into():
    inner = head(3, None)
    outer = keras.Sequential([inner, keras.layers.Softmax()])
    assert SemanticSegmentationModel(3, outer).activation == "softmax"
    inputs = keras.Input((None, None, 3))
    nested = keras.Model(inputs, head(3, "softmax")(inputs))
    assert SemanticSegmentationModel(3, nested).activation == "softmax"


@pytest.mark.parametrize("activation", ["softmax", "linear"])
def test_what_is_enlarged_at_the_end_tells_what_it_is(activation):
    larger = keras.layers.UpSampling2D(2, interpolation="bilinear")
    small = keras.layers.Conv2D(3, 2, strides=2, activation=activation)
    inputs = keras.Input((None, None, 3))
    functional = keras.Model(inputs, larger(small(inputs)))
    for net in (functional, keras.Sequential([functional])):
        assert SemanticSegmentationModel(3, net).activation == activation
    sharpened = keras.layers.UpSampling2D(2, interpolation="bicubic")
    outputs = sharpened(small(inputs))  # Beyond 0 to 1.
    with pytest.raises(ValueError, match="`activation` must be one of"):
        SemanticSegmentationModel(3, keras.Model(inputs, outputs))


def test_what_cannot_be_told_is_asked_for():
    outer = keras.Sequential([head(3, "softmax"), keras.layers.Dropout(0.1)])
    with pytest.raises(ValueError, match="`activation` must be one of"):
        SemanticSegmentationModel(3, outer)
    assert SemanticSegmentationModel(3, outer, activation="softmax")


@pytest.mark.parametrize(
    ("num_classes", "patch_model"),
    [
        (3, head(2, "softmax")),
        (3, head(1, "sigmoid")),
        (2, head(1, "softmax")),
        (1, None),
    ],
)
def test_a_head_that_does_not_fit_is_refused(num_classes, patch_model):
    with pytest.raises(ValueError, match="Received"):
        SemanticSegmentationModel(num_classes, patch_model)


def test_evaluate_takes_whole_images_and_masks():
    model = SemanticSegmentationModel(2, head(2, "softmax"), patch_size=32)
    model.compile("adam")
    image, mask = field((50, 70), 0)
    loss, iou = model.evaluate(image[None], mask[None], verbose=0)
    predicted = model.predict(image[None], verbose=0)
    expected = SegmentationLoss(2)(mask[None], predicted)
    np.testing.assert_allclose(loss, float(expected), rtol=1e-4)
    scores = model.evaluate_full_images(image[None], mask[None])
    np.testing.assert_allclose(iou, scores["mean_iou"], rtol=1e-5)


def perfect_model():
    """Class 1 where the first channel is bright."""
    inputs = keras.Input((None, None, 3))
    bright = (inputs[..., :1] - 127.5) / 10
    return keras.Model(inputs, keras.layers.Activation("sigmoid")(bright))


def test_full_images_of_different_sizes_are_scored_together(tmp_path):
    model = SemanticSegmentationModel(2, perfect_model(), patch_size=16)
    masks = [field(size, 0)[1] for size in [(30, 40), (21, 17)]]
    images = [np.repeat(mask[..., None] * 255, 3, -1) for mask in masks]
    scores = model.evaluate_full_images(images, masks)
    assert scores == {"mean_iou": 1.0, "iou_0": 1.0, "iou_1": 1.0}
    wrong = 1 - masks[0]
    union = masks[0].size + masks[1].size
    scores = model.evaluate_full_images(images, [wrong, masks[1]])
    shared = [(masks[1] == c).sum() for c in (0, 1)]
    expected = [s / (s + masks[0].size) for s in shared]
    assert union == masks[0].size + sum(shared)
    np.testing.assert_allclose(
        [scores["iou_0"], scores["iou_1"]], expected, rtol=1e-6
    )
    write_image(tmp_path / "image.png", images[0])
    write_image(tmp_path / "mask.png", masks[0] * 255)
    scores = model.evaluate_full_images(
        [tmp_path / "image.png"], [str(tmp_path / "mask.png")]
    )
    assert scores["mean_iou"] == 1.0


def test_unlabelled_pixels_and_absent_classes_are_not_scored():
    model = SemanticSegmentationModel(
        3, head(3, "softmax"), patch_size=16, ignore_value=255
    )
    image = np.zeros((20, 20, 3), "uint8")
    predicted = model.decode_predictions(model.predict(image[None], verbose=0))
    target = predicted[0].copy()
    target[:5] = 255
    scores = model.evaluate_full_images([image], [target])
    assert scores["mean_iou"] == 1.0
    assert "iou_255" not in scores
    assert len(scores) == 1 + len(np.unique(target[5:]))


def test_a_patch_that_the_default_model_cannot_halve_is_refused():
    model = SemanticSegmentationModel()
    with pytest.raises(ValueError, match="multiple"):
        model.set_patch_size(100)


def test_keeping_the_channels_of_files_needs_a_patch_model():
    with pytest.raises(ValueError, match="channels"):
        SemanticSegmentationModel(channels=None)


def test_masks_in_memory_are_read_like_files_and_must_fit_their_image():
    model = SemanticSegmentationModel(2, perfect_model(), patch_size=16)
    mask = field((30, 40), 0)[1]
    image = np.repeat(mask[..., None] * 255, 3, -1)
    for target in (mask, mask[..., None], mask * 255):
        scores = model.evaluate_full_images([image], [target])
        assert scores["mean_iou"] == 1.0
    with pytest.raises(ValueError, match="as high and wide as its image"):
        model.evaluate_full_images([image], [mask[:, :1]])
    with pytest.raises(ValueError, match="expected 0 and 1"):
        model.evaluate_full_images([image], [mask * 7])


def test_masks_in_memory_without_class_ids_are_refused_before_training():
    model = SemanticSegmentationModel(2, perfect_model(), patch_size=16)
    model.compile("adam")
    images = np.zeros((2, 16, 16, 3), "uint8")
    masks = np.full((2, 16, 16), 255, "uint8")
    for call in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"from 0 to 1.*\[255\]"):
            call(images, masks)


def test_a_value_range_must_rise():
    with pytest.raises(ValueError, match="black the smaller"):
        SemanticSegmentationModel(value_range=(0, 0))


def test_channels_first_is_refused():
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="channels-last"):
            SemanticSegmentationModel(2, perfect_model())
    finally:
        keras.config.set_image_data_format("channels_last")


def test_files_beyond_the_value_range_are_not_scored(tmp_path):
    model = SemanticSegmentationModel(2, perfect_model(), patch_size=16)
    write_image(tmp_path / "deep.tif", np.full((20, 20, 3), 999, "uint16"))
    with pytest.raises(ValueError, match=r"deep.tif.*from 0 to 255"):
        model.evaluate_full_images(
            [tmp_path / "deep.tif"], [np.zeros((20, 20), "uint8")]
        )
