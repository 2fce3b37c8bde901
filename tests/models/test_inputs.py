"""What a model cannot use is refused before it starts, with what to do."""

import itertools

import keras
import numpy as np
import pytest

from keras_patching import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    PatchedModel,
    PatchingSequence,
    SegmentationLoss,
    SemanticSegmentationModel,
    load_dataset_from_directory_with_segmentation_masks,
    load_heatmap_dataset_with_csv_from_directory,
)
from keras_patching.data.images.image_io import write_image
from keras_patching.inference import predict_files

IMAGES = np.zeros((4, 8, 8, 3), "uint8")
MASKS = np.zeros((4, 8, 8), "uint8")


def head(channels, activation="softmax"):
    inputs = keras.Input((None, None, 3))
    outputs = keras.layers.Conv2D(channels, 1, activation=activation)(inputs)
    return keras.Model(inputs, outputs)


def segmenter(num_classes=2, **kwargs):
    model = SemanticSegmentationModel(
        num_classes, head(num_classes), patch_size=8, **kwargs
    )
    model.compile("sgd")
    return model


def counter(**kwargs):
    model = HeatmapObjectCountingModel(
        head(1, "linear"), patch_size=8, **kwargs
    )
    model.compile("sgd")
    return model


@pytest.fixture
def folder(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    write_image(tmp_path / "images" / "a.png", np.zeros((16, 16, 3), "uint8"))
    mask = np.arange(3, dtype="uint8").repeat(86)[:256].reshape(16, 16)
    write_image(tmp_path / "masks" / "a.png", mask)
    (tmp_path / "points.csv").write_text("a.png,4.0,5.0\n")
    return tmp_path


def load_masks(folder, **kwargs):
    return load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        **{"patch_size": 8, "num_classes": 3, "verbose": False, **kwargs},
    )


def load_points(folder, **kwargs):
    return load_heatmap_dataset_with_csv_from_directory(
        folder / "images",
        folder / "points.csv",
        patch_size=8,
        verbose=False,
        **kwargs,
    )


@pytest.mark.parametrize(
    ("make", "load", "message"),
    [
        (segmenter, load_masks, r"num_classes=3.*num_classes=2"),
        (segmenter, load_points, r"segmentation.*counting"),
        (counter, load_masks, r"counting.*segmentation"),
        (
            lambda: segmenter(3, value_range=(0, 65535)),
            load_masks,
            r"value_range=\[0.*, 255.*\].*value_range=\[0.*, 65535.*\]",
        ),
        (
            lambda: segmenter(3),
            lambda folder: load_masks(folder, ignore_value=255),
            "unlabelled pixels of value 255",
        ),
        (
            lambda: segmenter(3, channels=1),
            load_masks,
            "channels=3.*channels=1",
        ),
        (
            lambda: counter(density_map_sigma=2.0),
            load_points,
            r"density_map_sigma=4.0.*density_map_sigma=2.0",
        ),
    ],
)
def test_patches_that_were_made_for_another_model_are_refused(
    make, load, message, folder
):
    model, patches = make(), load(folder)
    with pytest.raises(ValueError, match=message):
        model.fit(patches)
    with pytest.raises(ValueError, match=message):
        model.evaluate(patches)
    with pytest.raises(ValueError, match=message):
        model.fit(IMAGES, MASKS, validation_data=patches)


def test_patches_of_a_model_with_the_same_arguments_are_taken(folder):
    patches = load_masks(folder)
    again = PatchingSequence(patches.manifest_path, batch_size=2)
    model = segmenter(3, ignore_value=255)  # Here all pixels are labelled.
    model.fit(again, validation_data=patches, verbose=0)
    counter().fit(load_points(folder), verbose=0)


PATHS = {
    "string": "field/images",
    "list": ["a.png", "b.png"],
}


@pytest.mark.parametrize("paths", PATHS.values(), ids=PATHS)
def test_paths_are_answered_with_the_way_to_predict_them(paths, tmp_path):
    model = segmenter()
    for call in (model.predict, model.evaluate, model.fit):
        with pytest.raises(ValueError, match=r"predict_files.*read_image"):
            call(paths)
    with pytest.raises(ValueError, match="predict_files"):
        model.predict(tmp_path)
    # As the message says.
    write_image(tmp_path / "image.png", IMAGES[0])
    assert not predict_files(
        model, [tmp_path / "image.png"], tmp_path / "out", verbose=False
    ).faults
    image = model.read_image(tmp_path / "image.png")
    assert model.predict(image[None], verbose=0).shape == (1, 8, 8, 2)


def test_a_generator_of_images_of_different_sizes_is_told_apart():
    def images(*sizes):
        return (np.zeros((1, size, 9, 3), "uint8") for size in sizes)

    model = segmenter()
    with pytest.raises(Exception, match="one size at a time"):
        model.predict(images(8, 9), verbose=0)
    predicted = model.predict(images(9, 9, 9), steps=2, verbose=0)
    assert predicted.shape == (2, 9, 9, 2)
    with pytest.raises(Exception, match=r"image\[None\]"):
        model.predict((image for image in IMAGES), verbose=0)
    with pytest.raises(ValueError, match=r"image\[None\]"):
        model.predict(IMAGES[0], verbose=0)
    batches = ((IMAGES, MASKS) for _ in itertools.count())
    model.fit(batches, steps_per_epoch=2, shuffle=False, verbose=0)


@pytest.mark.parametrize(
    "size", [(0, 8), (8, 0), (-8, 8), (8.0, 8), ("8", 8), (True, 8), (None, 8)]
)
@pytest.mark.parametrize(
    "make",
    [
        lambda: segmenter(),
        lambda: counter(),
        lambda: ObjectDetectionModel(head(30, None), patch_size=8),
        lambda: PatchedModel(head(2), 8),
    ],
    ids=["segmentation", "counting", "detection", "base"],
)
def test_a_patch_size_that_is_none_is_refused(make, size):
    model = make()
    with pytest.raises(ValueError, match="patch_size"):
        model.set_patch_size(*size)
    assert model.patch_size == (8, 8)
    model.set_patch_size(np.int64(16))
    assert model.patch_size == (16, 16)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        (np.eye(2, dtype="uint8")[MASKS], r"class ids.*np.argmax"),
        (MASKS[:, :4], "class ids"),
        (MASKS + np.float32(0.5), r"class ids.*\[0.5\]"),
        (np.full(MASKS.shape, np.nan), r"class ids.*nan"),
        (MASKS + 255, r"class ids.*\[255\]"),
        (list(MASKS), r"class ids.*np.stack"),
    ],
    ids=["one-hot", "size", "probabilities", "nan", "white", "list"],
)
def test_masks_that_are_no_class_ids_are_refused(masks, message):
    model = segmenter()
    for call in (
        lambda: model.fit(IMAGES, masks),
        lambda: model.evaluate(IMAGES, masks),
        lambda: model.fit(IMAGES, MASKS, validation_data=(IMAGES, masks)),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_masks_are_taken_in_every_form_of_class_ids():
    model = segmenter()
    losses = []
    for masks in (
        MASKS,
        MASKS[..., None],
        MASKS.astype("float32"),
        MASKS.astype(bool),
        np.argmax(np.eye(2)[MASKS], axis=-1),
    ):
        # Anew, since tensorflow would relax the rank of masks.
        model.compile("sgd", metrics=None)
        losses.append(model.evaluate(IMAGES, masks, verbose=0))
    np.testing.assert_allclose(losses, losses[0], rtol=1e-6)


def test_one_hot_masks_of_a_generator_are_refused_too():
    model = segmenter()
    one_hot = np.eye(2, dtype="uint8")[MASKS]
    with pytest.raises(Exception, match=r"class ids.*np.argmax"):
        model.fit(
            ((IMAGES, one_hot) for _ in range(2)), shuffle=False, verbose=0
        )


def test_class_weights_belong_into_the_loss():
    model = segmenter()
    with pytest.raises(ValueError, match="class_weight") as error:
        model.fit(IMAGES, MASKS, class_weight={0: 1, 1: 10})
    advice = "SegmentationLoss(2, 'softmax', None, class_weights=[1.0, 10.0])"
    assert advice in str(error.value)
    loss = SegmentationLoss(2, "softmax", None, class_weights=[1.0, 10.0])
    model.compile("adam", loss)  # As the message says.
    model.fit(IMAGES, MASKS, verbose=0)
    with pytest.raises(ValueError, match="class_weight"):
        counter().fit(IMAGES, MASKS[..., None], class_weight={0: 1})


@pytest.mark.parametrize("weight", [0.5, 0.0])
def test_weights_of_samples_are_those_of_images(weight):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (8, 8, 8, 3)).astype("uint8")
    masks = rng.integers(0, 2, (8, 8, 8)).astype("uint8")
    weights = np.repeat([1.0, weight], 4)
    loss = SegmentationLoss(2, dice_weight=0.0)
    model = segmenter()
    model.compile("sgd", loss, metrics=None)
    weighted = model.evaluate(
        images, masks, sample_weight=weights, batch_size=8, verbose=0
    )
    first = model.evaluate(images[:4], masks[:4], verbose=0)
    others = model.evaluate(images[4:], masks[4:], verbose=0)
    # Images of weight 0 are as if they were not there.
    expected = (first + weight * others) / 2 if weight else first
    assert weighted == pytest.approx(expected, rel=1e-4)


def test_a_loss_of_the_user_decides_what_masks_are():
    model = segmenter()
    model.compile("sgd", "categorical_crossentropy")
    masks = np.eye(2)[np.zeros((2, 8, 8), int)]
    model.fit(np.zeros((2, 8, 8, 3), "uint8"), masks, verbose=0)


def test_a_data_set_of_others_may_have_a_patch_size_of_its_own():
    class Batches(keras.utils.PyDataset):
        patch_size = 8

        def __len__(self):
            return 1

        def __getitem__(self, index):
            return np.zeros((2, 8, 8, 3)), np.zeros((2, 8, 8), "uint8")

    model = segmenter()
    model.compile("sgd")
    model.fit(Batches(), verbose=0)
