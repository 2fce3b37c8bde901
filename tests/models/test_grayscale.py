"""What is trained on grey is predicted on grey, wherever images come from."""

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching import cli

RNG = np.random.default_rng(0)


@pytest.fixture
def folder(tmp_path):
    """Colour images, and a grey one, with masks and labels."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for index in range(3):
        shape = (10, 12, 3) if index else (10, 12, 1)
        image = RNG.integers(0, 256, shape, "uint8")
        kp.data.write_image(tmp_path / "images" / f"{index}.png", image)
        mask = np.indices((10, 12)).sum(0).astype("uint8") % 2
        kp.data.write_image(tmp_path / "masks" / f"{index}.png", mask)
    (tmp_path / "points.csv").write_text("0.png,3,4\n1.png\n2.png,1,1\n")
    return tmp_path


def net(channels, activation="softmax", inputs=1):
    return keras.Sequential(
        [
            keras.Input((None, None, inputs)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(
                channels, 3, padding="same", activation=activation
            ),
        ]
    )


def load_masks(folder):
    model = kp.SemanticSegmentationModel(
        2, net(2), patch_size=8, overlap="auto", channels="grayscale"
    )
    sequence = model.load_dataset_from_directory_with_segmentation_masks(
        folder / "images", folder / "masks", batch_size=4, verbose=False
    )
    return model, sequence


def load_points(folder):
    model = kp.HeatmapObjectCountingModel(
        net(1, "linear"), patch_size=8, overlap=4, channels="grayscale"
    )
    sequence = model.load_heatmap_dataset_with_csv_from_directory(
        folder / "images", folder / "points.csv", batch_size=4, verbose=False
    )
    return model, sequence


@pytest.mark.parametrize("make", [load_masks, load_points])
def test_files_of_colour_are_trained_and_predicted_as_grey(make, folder):
    model, sequence = make(folder)
    sequence.shuffle = False
    model.compile("sgd")
    model.fit(sequence, verbose=0)
    grey = model.read_image(folder / "images" / "1.png")
    assert grey.shape == (10, 12, 1)
    np.testing.assert_array_equal(sequence[1][0][0], grey[:8, :8])
    transform = "heatmap" if model.task == "counting" else None
    found = model.predict_images(
        folder / "images", transform=transform, verbose=False
    )
    for name, one in zip(("0.png", "1.png", "2.png"), found, strict=True):
        image = model.read_image(folder / "images" / name)
        np.testing.assert_allclose(
            one, model.predict(image[None], verbose=0)[0], rtol=1e-3, atol=1e-5
        )


def test_the_saved_model_reads_grey_in_the_commands_too(folder, capsys):
    model, _ = load_masks(folder)
    model.save(folder / "grey.keras")
    loaded = keras.saving.load_model(folder / "grey.keras")
    assert loaded.channels == "grayscale"
    images = str(folder / "images")
    out = str(folder / "out")
    status = cli.main(
        ["predict", str(folder / "grey.keras"), images, "--out", out]
    )
    assert status == 0
    image = loaded.read_image(folder / "images" / "2.png")
    mask = loaded.decode_predictions(loaded.predict(image[None], verbose=0))
    np.testing.assert_array_equal(
        kp.data.read_mask(folder / "out" / "masks" / "2.png"), mask[0]
    )
    status = cli.main(["verify", str(folder / "grey.keras"), f"{images}/2.png"])
    assert status == 0


def test_grey_of_colour_and_grey_are_told_apart(folder):
    _, sequence = load_masks(folder)
    model = kp.SemanticSegmentationModel(2, net(2), patch_size=8, channels=1)
    model.compile("sgd")
    with pytest.raises(ValueError, match="channels='grayscale'"):
        model.fit(sequence)
    with pytest.raises(ValueError, match=r"images of one channel.* takes 3"):
        kp.SemanticSegmentationModel(2, net(2, inputs=3), channels="grayscale")
    default = kp.SemanticSegmentationModel(2, channels="grayscale")
    assert default.patch_model.input_shape[-1] == 1
    with pytest.raises(ValueError, match="channels='gray'"):
        kp.SemanticSegmentationModel(2, channels="gray")
