"""Training on whole images: padding of weight 0 is as if it were not there."""

import re

import keras
import numpy as np
import pytest

import keras_patching as kp

SIZES = {"a.png": (12, 20), "b.png": (16, 8)}
FULL = (16, 20)


def draw(name):
    rng = np.random.default_rng(len(name) + ord(name[0]))
    image = rng.integers(0, 256, (*SIZES[name], 3)).astype("uint8")
    mask = (image[..., 0] > 100).astype("uint8")
    points = rng.uniform(0, 1, (5, 2)) * SIZES[name]
    return image, mask, points


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    rows = ["image,x,y"]
    for name in SIZES:
        image, mask, points = draw(name)
        for part, array in (("images", image), ("masks", mask)):
            (folder / part).mkdir(exist_ok=True)
            kp.data.write_image(folder / part / name, array)
        rows += [f"{name},{x},{y}" for y, x in points]
    (folder / "images" / "points.csv").write_text("\n".join(rows))
    return folder


def pixel_net(channels, activation):
    """A net that judges each pixel by itself: padding changes none."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 1, activation="relu"),
            keras.layers.Conv2D(channels, 1, activation=activation),
        ]
    )


def segmenter(ignore_value=None):
    return kp.SemanticSegmentationModel(
        2, pixel_net(2, "softmax"), patch_size=32, ignore_value=ignore_value
    )


def counter():
    return kp.HeatmapObjectCountingModel(
        pixel_net(1, "linear"), density_map_sigma=1.0, patch_size=32
    )


def masks_of(model, folder, crop_size="image", **options):
    return model.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        crop_size=crop_size,
        verbose=False,
        **options,
    )


def heatmaps_of(model, folder, **options):
    return model.load_heatmap_dataset_with_csv_from_directory(
        folder / "images",
        "points.csv",
        crop_size="image",
        verbose=False,
        **options,
    )


def one_by_one(sequence):
    """The same images, each in its own size."""
    return kp.ImageSequence(
        sequence.manifest_path, shuffle=False, same_size=False
    )


def scores_of_each(model, sequence):
    """Scores of the images one by one, without padding."""
    return [
        model.evaluate(images, labels, return_dict=True, verbose=0)
        for images, labels in sequence
    ]


def test_padding_changes_neither_loss_nor_scores_of_masks(folder):
    model = segmenter()
    model.compile("sgd")
    padded = masks_of(model, folder, shuffle=False)
    assert padded.image_size == FULL
    found = model.evaluate(padded, return_dict=True, verbose=0)
    alone = one_by_one(padded)
    losses = [scores["loss"] for scores in scores_of_each(model, alone)]
    assert found["loss"] == pytest.approx(np.mean(losses), rel=1e-5)
    expected = model.evaluate(alone, return_dict=True, verbose=0)
    assert found["mean_iou"] == pytest.approx(expected["mean_iou"], rel=1e-5)


def test_padding_holds_no_objects(folder):
    model = counter()
    model.compile("sgd")
    padded = heatmaps_of(model, folder, shuffle=False)
    found = model.evaluate(padded, return_dict=True, verbose=0)
    alone = one_by_one(padded)
    each = scores_of_each(model, alone)
    for name in ("count_mae", "loss"):
        expected = np.mean([scores[name] for scores in each])
        assert found[name] == pytest.approx(expected, rel=1e-4)


def weights_after(model, sequence):
    model.compile(keras.optimizers.SGD(0.1))
    model.fit(sequence, verbose=0)
    return model.get_weights()


def test_a_step_on_padded_images_is_that_on_the_images(folder):
    start = segmenter().get_weights()
    weights = []
    padded = masks_of(segmenter(), folder, shuffle=False)
    for sequence in (padded, one_by_one(padded)):
        model = segmenter()
        model.set_weights(start)
        weights.append(weights_after(model, sequence))
    for found, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_an_image_of_weight_0_is_not_trained_on(folder):
    start, weights = segmenter().get_weights(), []
    sequence = masks_of(segmenter(), folder, crop_size=(12, 8), batch_size=2)
    images, masks = sequence[0]
    for batch in (images, masks, np.array([1, 0])), (images[:1], masks[:1]):
        model = segmenter()
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.1))
        model.train_on_batch(*batch)
        weights.append(model.get_weights())
    for found, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def looking_net():
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(2, 3, padding="same", activation="softmax"),
        ]
    )


def test_padded_images_are_trained_on_in_bands_as_at_once(folder):
    net = looking_net()
    start, weights = net.get_weights(), []
    for tiling in (
        {"overlap": "auto", "predict_patch_size": (4, None)},
        {"predict_patch_size": 64, "shrink": True},
    ):
        net.set_weights(start)
        model = kp.SemanticSegmentationModel(2, net, patch_size=4, **tiling)
        weights.append(weights_after(model, masks_of(model, folder, seed=0)))
    for found, expected in zip(*weights, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_metrics_that_would_count_padding_are_refused(folder):
    model = segmenter()
    sequence = masks_of(model, folder)
    model.compile("sgd", metrics=["accuracy"])
    for use in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"padded to \(16, 20\).*weighted"):
            use(sequence, verbose=0)
    with pytest.raises(ValueError, match="weighted_metrics"):
        model.fit(
            one_by_one(sequence),
            validation_data=sequence,
            verbose=0,
        )
    model.compile("sgd", weighted_metrics=["accuracy"], metrics=None)
    model.evaluate(sequence, verbose=0)
    plain = kp.PatchedModel(pixel_net(2, "softmax"), patch_size=32)
    loss, metrics = kp.SegmentationLoss(2), [kp.metrics.PixelAccuracy()]
    plain.compile("sgd", loss, metrics=metrics)
    with pytest.raises(ValueError, match=r"Received: metrics=\['pixel_acc"):
        plain.evaluate(sequence, verbose=0)
    ignoring = segmenter(255)
    ignoring.compile("sgd", metrics=["accuracy"])
    ignoring.evaluate(masks_of(ignoring, folder), verbose=0)


def test_batch_normalization_that_would_count_padding_is_refused(folder):
    normalize = keras.layers.BatchNormalization(name="normalized")
    net = keras.Sequential(
        [keras.Input((None, None, 3)), normalize, *looking_net().layers]
    )
    model = kp.SemanticSegmentationModel(2, net, patch_size=8, overlap="auto")
    sequence = masks_of(model, folder)
    model.compile("sgd")
    with pytest.raises(
        ValueError, match=r"'normalized' would.*same_size=False"
    ):
        model.fit(sequence, verbose=0)
    crops = masks_of(model, folder, 24)
    model.fit(crops, validation_data=sequence, verbose=0)
    # Of images of any size tensorflow does not know that they are small.
    if keras.backend.backend() != "tensorflow":
        model.fit(one_by_one(sequence), verbose=0)
    normalize.trainable = False
    model.compile("sgd")
    model.fit(sequence, verbose=0)


def test_images_of_several_sizes_are_not_predicted_as_one_array(folder):
    model = segmenter()
    sequence = masks_of(model, folder)
    assert model.predict(sequence, verbose=0).shape == (2, *FULL, 2)
    with pytest.raises(ValueError, match="same_size=True"):
        model.predict(one_by_one(sequence), verbose=0)


def test_a_model_knows_the_metrics_of_its_last_compile_only():
    model = segmenter()
    model.compile("sgd", metrics=["accuracy"])
    model.compile("sgd", metrics=[kp.metrics.DiceScore(2)])
    images = np.zeros((1, 32, 32, 3), "uint8")
    scores = model.evaluate(images, images[..., 0], return_dict=True, verbose=0)
    assert sorted(scores) == ["dice_score", "loss"]


def test_the_size_of_patches_is_of_no_matter(folder):
    model = segmenter()
    sequence = masks_of(model, folder, crop_size=6, batch_size=2)
    model.set_patch_size(16)
    model.compile("sgd")
    model.fit(sequence, validation_data=masks_of(model, folder), verbose=0)


def test_loaders_give_whole_images_in_parts(folder):
    load = {"validation_split": 0.5, "subset": "both", "seed": 0}
    train, val = masks_of(segmenter(), folder, augment=True, **load)
    assert train.parameters["store"] == "images"
    assert train.augment
    assert not val.augment
    names = train.image_names + val.image_names
    assert sorted(names) == sorted(SIZES)
    for sequence in (train, val):
        (name,) = sequence.image_names
        images, masks = sequence[0]
        assert images.shape == (1, *SIZES[name], 3)
        assert masks.shape == images.shape[:3]
    np.testing.assert_array_equal(val[0][0][0], draw(val.image_names[0])[0])


def test_loaders_give_crops_to_train_on_and_whole_images_to_judge(folder):
    load = {"validation_split": 0.5, "subset": "both", "seed": 0}
    train, val = masks_of(segmenter(), folder, (6, 8), **load)
    assert (train.batch_size, val.batch_size) == (32, 1)
    assert train[0][0].shape[1:] == (6, 8, 3)
    assert val[0][0].shape[1:3] == SIZES[val.image_names[0]]
    (train,) = [masks_of(segmenter(), folder, 4, batch_size=3)]
    assert train[0][0].shape == (3, 4, 4, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_size": "images"}, '"image" for whole images'),
        ({"crop_size": (4, 0)}, "must be positive"),
        ({"foreground_fraction": 0.5}, "`foreground_fraction` chooses patches"),
        ({"keep_empty": 0.5}, "`keep_empty` chooses patches"),
        ({"foreground_classes": [1]}, "`foreground_classes` chooses patches"),
        ({"random_crops": True}, "`random_crops` chooses patches"),
        ({"block_size": 8}, 'pass split_by="blocks" too'),
        ({"guard": 8}, 'pass split_by="blocks" too'),
        ({"store": "image"}, "`store` must be one of"),
        (
            {"split_by": "blocks", "validation_split": 0.5, "subset": "both"},
            "Split by whole images",
        ),
    ],
)
def test_what_does_not_go_with_whole_images_is_refused(
    folder, options, message
):
    with pytest.raises(ValueError, match=message):
        masks_of(segmenter(), folder, **options)


def test_a_detector_is_trained_on_patches(folder):
    with pytest.raises(ValueError, match="Detectors are trained on patches"):
        kp.load_yolo_dataset_from_directory(
            "boxes.csv", folder / "images", patch_size=8, crop_size="image"
        )


def test_its_batches_are_refused_where_others_are_taken(folder):
    images, masks, model = folder / "images", folder / "masks", segmenter()
    sequence = masks_of(model, folder)
    for use in (
        lambda: kp.callbacks.ResamplePatches(sequence),
        lambda: kp.callbacks.FullImageEvaluation(sequence, masks),
        lambda: kp.callbacks.FullImageEvaluation(images, sequence),
        lambda: kp.callbacks.PredictionGallery(sequence),
        lambda: model.evaluate_full_images(sequence, masks),
        lambda: kp.verify_tiling(model, sequence),
    ):
        with pytest.raises(ValueError, match=r"Received: \w+=ImageSequence"):
            use()


def test_images_that_are_trained_on_in_patches_are_said_to_be(folder):
    sequence = masks_of(segmenter(), folder)
    for data_set, size in ((sequence, FULL), (one_by_one(sequence), (12, 20))):
        model = kp.SemanticSegmentationModel(2, looking_net(), patch_size=8)
        model.compile("sgd")
        said = rf"{re.escape(str(size))} pixels .* there are seams"
        with pytest.warns(UserWarning, match=said):
            model.fit(data_set, verbose=0)


def test_a_data_set_of_another_task_is_refused(folder):
    model = counter()
    model.compile("sgd")
    with pytest.raises(ValueError, match="model of counting"):
        model.fit(masks_of(segmenter(), folder), verbose=0)
