"""What lies beyond an image is the same in training and in prediction."""

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching import cli

RNG = np.random.default_rng(0)
MIRRORED = pytest.mark.parametrize("pad_mode", ["reflect", "edge"])


def net(channels=2, activation="softmax"):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(
                channels, 3, padding="same", activation=activation
            ),
        ]
    )


def make_model(pad_mode, **options):
    return kp.SemanticSegmentationModel(
        2, net(), patch_size=8, ignore_value=255, pad_mode=pad_mode, **options
    )


@pytest.fixture
def folder(tmp_path):
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for index, size in enumerate([(10, 12), (7, 20)]):
        image = RNG.integers(0, 256, (*size, 3), "uint8")
        kp.data.write_image(tmp_path / "images" / f"{index}.png", image)
        mask = np.indices(size).sum(0).astype("uint8") % 2
        kp.data.write_image(tmp_path / "masks" / f"{index}.png", mask)
    return tmp_path


def load(model, folder, **options):
    return model.load_dataset_from_directory_with_segmentation_masks(
        folder / "images", folder / "masks", verbose=False, **options
    )


@MIRRORED
def test_patches_of_training_are_those_of_prediction(pad_mode, folder):
    model = make_model(pad_mode)
    images, masks = load(model, folder, shuffle=False)[0]
    image = model.read_image(folder / "images" / "0.png")
    padded = np.pad(image, ((0, 6), (0, 4), (0, 0)), pad_mode)
    np.testing.assert_array_equal(images[3], padded[8:, 8:])
    assert (masks[3][2:] == 255).all()
    assert (masks[3][:2, :4] < 2).all()
    model.compile("sgd")
    model.fit(load(model, folder), verbose=0)
    found = model.predict(image[None], verbose=0)[0]
    whole = keras.ops.convert_to_numpy(model.patch_model(padded[None, 8:, 8:]))
    np.testing.assert_allclose(found[8:, 8:], whole[0, :2, :4], rtol=1e-4)


@MIRRORED
@pytest.mark.parametrize("overlap", [0, 3])
def test_images_of_any_sizes_are_padded_as_alone(pad_mode, overlap, folder):
    model = make_model(pad_mode, overlap=overlap)
    paths = [folder / "images" / f"{index}.png" for index in (0, 1)]
    found = model.predict_images(paths, verbose=False)
    for path, one in zip(paths, found, strict=True):
        alone = model.predict(model.read_image(path)[None], verbose=0)
        np.testing.assert_allclose(one, alone[0], rtol=1e-4, atol=1e-6)


def test_other_padding_than_that_of_the_model_is_refused(folder):
    sequence = load(make_model("reflect"), folder)
    for other in ("constant", "edge"):
        model = make_model(other)
        model.compile("sgd")
        with pytest.raises(ValueError, match="pad_mode='reflect'"):
            model.fit(sequence)
    model = make_model("reflect")
    model.compile("sgd")
    with pytest.raises(ValueError, match="pad_mode='constant'"):
        model.fit(load(make_model("constant"), folder))


def test_mirrored_pixels_need_a_value_that_is_no_class(folder):
    model = kp.SemanticSegmentationModel(
        2, net(), patch_size=8, pad_mode="reflect"
    )
    with pytest.raises(ValueError, match="Pass an `ignore_value`"):
        load(model, folder)
    with pytest.raises(ValueError, match="no object is there twice"):
        kp.HeatmapObjectCountingModel(net(1, "linear"), pad_mode="edge")


def test_the_commands_pad_as_the_model_does(folder):
    images, masks = str(folder / "images"), str(folder / "masks")
    options = ["--patch-size", "8", "--ignore-value", "255"]
    patch = ["patch", images, masks, *options, "--pad-mode", "reflect"]
    assert cli.main(patch) == 0
    model = make_model("reflect")
    model.compile("sgd")
    model.fit(kp.PatchingSequence(folder / "images_patches"), verbose=0)
    model.save(folder / "model.keras")
    saved = str(folder / "model.keras")
    out = str(folder / "out")
    assert cli.main(["predict", saved, images, "--out", out]) == 0
    image = model.read_image(folder / "images" / "1.png")
    mask = model.decode_predictions(model.predict(image[None], verbose=0))
    np.testing.assert_array_equal(
        kp.data.read_mask(folder / "out" / "masks" / "1.png"), mask[0]
    )
    assert cli.main(["verify", saved, f"{images}/0.png"]) == 0
