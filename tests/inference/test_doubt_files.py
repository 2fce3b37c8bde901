"""Maps of doubt in files, from Python and from the command line."""

import imageio.v3 as imageio
import keras
import networks
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.cli import main
from keras_patching.inference import predict_files

# Turned images are tiled, which models say.
pytestmark = pytest.mark.filterwarnings("ignore:Rows c", "ignore:An image of")


@pytest.fixture
def model():
    layer = keras.layers.Conv2D(2, 3, padding="same", activation="softmax")
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Rescaling(1 / 255), layer]
    )
    return kp.SemanticSegmentationModel(
        2, networks.fill(net), patch_size=16, overlap="auto"
    )


@pytest.fixture
def image(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (30, 40, 3), "uint8")
    imageio.imwrite(tmp_path / "leaf.png", image)
    return image


def test_the_command_augments_and_writes_doubt(model, image, tmp_path):
    model.save(tmp_path / "model.keras")
    for symmetries, doubts in (("all", True), ("mirrors", False)):
        arguments = ["--transform", "doubt"] if doubts else []
        main(
            [
                *("predict", str(tmp_path / "model.keras")),
                *(str(tmp_path / "leaf.png"), "--out", str(tmp_path / "out")),
                *("--test-time-augmentation", symmetries, "--overwrite"),
                *("--format", "npy"),
                *arguments,
            ]
        )
        model.set_tiling(test_time_augmentation=symmetries)
        transform = "doubt" if doubts else "classes"
        (expected,) = model.predict_images(
            [image], transform=transform, verbose=False
        )
        folder = "doubts" if doubts else "masks"
        found = np.load(tmp_path / "out" / folder / "leaf.npy")
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_doubt_is_of_several_predictions_and_on_no_page(model, image, tmp_path):
    path, out = tmp_path / "leaf.png", tmp_path / "out"
    with pytest.raises(ValueError, match="augmentation all"):
        predict_files(model, path, out, transform="doubt")
    model.set_tiling(test_time_augmentation="left_right")
    with pytest.raises(ValueError, match="The page shows"):
        predict_files(model, path, out, transform="doubt", report=True)
    done = predict_files(model, path, out, transform="doubt", verbose=False)
    found = imageio.imread(out / "doubts/leaf.tif")
    assert done.rows[0]["doubt"] == pytest.approx(found.mean(), abs=1e-6)
