"""A gallery shows whole images after an epoch, and training goes on."""

import keras
import numpy as np
import pytest
from checks import check_callback
from keras import ops

from keras_patching import (
    HeatmapObjectCountingModel,
    ObjectDetectionModel,
    PatchedModel,
    SemanticSegmentationModel,
)
from keras_patching.callbacks import PredictionGallery
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.visualization import COLORS


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (4, 16, 16, 3)).astype("uint8")
    return images, (images[..., 0] > 127).astype("uint8")


def make_model(ignore_value=None):
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    model = SemanticSegmentationModel(
        2, patch_model, patch_size=16, ignore_value=ignore_value
    )
    model.compile(keras.optimizers.SGD(0.1))
    return model


def full_images(data):
    images, masks = data
    return (
        [np.concatenate(images[:3], axis=0), images[3][:9]],
        [np.concatenate(masks[:3], axis=0), masks[3][:9]],
    )


def fit(model, data, epochs, *callbacks):
    model.fit(
        *data, epochs=epochs, verbose=0, shuffle=False, callbacks=callbacks
    )


def test_it_is_a_callback_as_all_others_of_keras(data, tmp_path):
    def make():
        keras.utils.set_random_seed(0)
        images, targets = full_images(data)
        training = {"x": data[0], "y": data[1]}
        options = {"images": images, "targets": targets, "directory": tmp_path}
        return make_model(), training, options

    check_callback(PredictionGallery, make)


def test_pictures_are_written_after_the_first_and_every_nth_epoch(
    data, tmp_path
):
    images, _ = full_images(data)
    folder = tmp_path / "new" / "gallery"
    fit(
        make_model(),
        data,
        5,
        PredictionGallery(images, directory=folder, every=2),
    )
    assert sorted(path.name for path in folder.iterdir()) == [
        f"epoch_{epoch:03}_{index}.png"
        for epoch in (1, 2, 4)
        for index in (0, 1)
    ]
    picture = read_image(folder / "epoch_001_0.png")
    assert picture.shape[0] > 48
    assert picture.shape[1] > 2 * 16


def test_targets_are_shown_between_image_and_prediction(data, tmp_path):
    images, masks = full_images(data)
    model = make_model(ignore_value=7)
    masks[1][:] = 7
    for path, gallery in (
        ("without", PredictionGallery(images, None, tmp_path / "without")),
        ("with", PredictionGallery(images, masks, tmp_path / "with")),
    ):
        fit(model, data, 1, gallery)
        assert len(list((tmp_path / path).iterdir())) == 2
    wide = read_image(tmp_path / "with" / "epoch_001_1.png")
    np.testing.assert_array_equal(wide[-9:, 20:36], images[1])  # unlabelled


def test_paths_and_folders_are_read(data, tmp_path):
    (image, _), (mask, _) = full_images(data)
    paths = tmp_path / "image.png", tmp_path / "mask.png"
    for path, array in zip(paths, (image, mask), strict=True):
        write_image(path, array)
    for kind, path in zip(("images", "masks"), paths, strict=True):
        (tmp_path / kind).mkdir()
        (tmp_path / kind / "one.png").write_bytes(path.read_bytes())
    model = make_model()
    for folder, args in (
        ("a", ([image], [mask])),
        ("b", ([paths[0]], [str(paths[1])])),
        ("c", (tmp_path / "images", str(tmp_path / "masks"))),
    ):
        model.set_weights([np.ones(w.shape) for w in model.get_weights()])
        fit(
            model,
            data,
            1,
            PredictionGallery(*args, tmp_path / folder),
        )
    pictures = [
        read_image(tmp_path / folder / "epoch_001_0.png") for folder in "abc"
    ]
    np.testing.assert_array_equal(pictures[1], pictures[0])
    np.testing.assert_array_equal(pictures[2], pictures[0])


def test_the_output_itself_is_shown_where_it_is_no_mask(data, tmp_path):
    patch_model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]
    )
    model = PatchedModel(patch_model, patch_size=16)
    model.compile("sgd", "mse")
    images, _ = full_images(data)
    x, y = data
    gallery = PredictionGallery(images, None, tmp_path)
    fit(model, (x / 255.0, y[..., None]), 1, gallery)
    assert read_image(tmp_path / "epoch_001_0.png")[-48:, -16:].std() > 10


def make_counting_model():
    patch_model = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]
    )
    patch_model.layers[0].set_weights([np.ones((1, 1, 3, 1)), np.zeros(1)])
    return HeatmapObjectCountingModel(
        patch_model, density_map_sigma=2.0, patch_size=16
    )


def draw(model, gallery):
    gallery.set_model(model)
    gallery.on_epoch_end(0)


def test_located_objects_are_ringed_beside_the_heatmap(tmp_path):
    image = np.zeros((48, 40, 3), "uint8")
    image[10, 30] = 200
    model = make_counting_model()
    for folder, targets in (("2", None), ("1", [np.array([[40.0, 5.5]])])):
        gallery = PredictionGallery([image], targets, tmp_path / folder)
        draw(model, gallery)
    picture = read_image(tmp_path / "1" / "epoch_001_0.png")[-48:]
    panels = [picture[:, start : start + 40] for start in range(0, 176, 44)]
    plain, truth, located, heatmap = panels
    np.testing.assert_array_equal(plain, image)
    for panel, (y, x) in ((truth, (40, 5)), (located, (10, 30))):
        changed = np.argwhere((panel != image).any(axis=-1))
        assert len(changed) > 8
        assert np.abs(changed - (y, x)).max() <= 6
    assert heatmap[10, 30].min() == 255
    assert heatmap.astype(bool).sum() == 3
    # Without a target there is a panel less, and nothing but paper.
    picture = read_image(tmp_path / "2" / "epoch_001_0.png")[-48:]
    assert (picture[:, 128:] == 255).all()
    assert not picture[:, 127].all()


def brightest(outputs):
    """Find a box of 6 x 4 pixels at the brightest pixel of each patch."""
    flat = ops.reshape(outputs["features"][..., 0], (-1, 256))
    place = ops.argmax(flat, axis=1)
    x, y = (ops.cast(n, "float32") for n in (place % 16, place // 16))
    scores = ops.max(flat, axis=1)[:, None] / 255
    return {
        "boxes": ops.stack([x, y, x + 6, y + 4], axis=-1)[:, None],
        "scores": scores,
        "labels": ops.zeros_like(scores, dtype="int32"),
    }


def make_detection_model():
    """A detector of another kind, whose output is a dict."""
    inputs = keras.Input((None, None, 3))
    net = keras.Model(inputs, {"features": keras.layers.Identity()(inputs)})
    return ObjectDetectionModel(
        net, prediction_decoder=brightest, patch_size=16, overlap=4
    )


def test_found_boxes_are_drawn_beside_the_true_ones(tmp_path):
    image = np.zeros((48, 40, 3), "uint8")
    image[34, 22] = 200
    truth = {"boxes": np.array([[3.0, 5, 20, 15]]), "labels": np.array([0])}
    for folder, targets in (("2", None), ("1", [truth])):
        gallery = PredictionGallery([image], targets, tmp_path / folder)
        draw(make_detection_model(), gallery)
    picture = read_image(tmp_path / "1" / "epoch_001_0.png")[-48:]
    plain, true, found = (picture[:, n : n + 40] for n in (0, 44, 88))
    np.testing.assert_array_equal(plain, image)
    lines = np.argwhere((true != image).any(axis=-1))
    assert np.abs(lines.min(axis=0) - (5, 3)).max() <= 1
    assert np.abs(lines.max(axis=0) - (14, 19)).max() <= 1
    for line in (found[34, 22:28], found[37, 22:28], found[34:38, 22]):
        np.testing.assert_array_equal(line, [COLORS[0]] * len(line))
    np.testing.assert_array_equal(found[39:], 0)
    # Without a target there is a panel less.
    assert read_image(tmp_path / "2" / "epoch_001_0.png").shape[1] == 84


def test_models_of_several_outputs_are_refused(tmp_path):
    net = make_detection_model().patch_model
    gallery = PredictionGallery(
        [np.zeros((16, 16, 3), "uint8")], directory=tmp_path
    )
    with pytest.raises(ValueError, match="dict of 1 outputs"):
        draw(PatchedModel(net, patch_size=16), gallery)


def test_targets_that_are_no_points_are_refused(tmp_path):
    image = np.zeros((16, 16, 3), "uint8")
    gallery = PredictionGallery([image], [image[..., 0]], tmp_path)
    with pytest.raises(ValueError, match=r"\(n, 2\).* Received: shape="):
        draw(make_counting_model(), gallery)


@pytest.mark.parametrize(
    ("images", "every", "targets"),
    [([], 1, None), (["a.png"], 0, None), (["a.png"], 1, [])],
)
def test_impossible_arguments_are_refused(images, every, targets, tmp_path):
    with pytest.raises(ValueError, match="Received"):
        PredictionGallery(images, targets, tmp_path, every)
