"""The counting task: counts in objects, places, the whole journey."""

import keras
import numpy as np
import pytest
from checks import check_task_model

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.data.labels.density_maps import density_map

SIGMA = 2.0


def dots(size, seed, num_dots=25):
    """Bright dots on noise: `(image, points)`."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(0.5, np.array(size) - 0.5, (num_dots, 2))
    dots = density_map(points, size, SIGMA) * 2 * np.pi * SIGMA**2
    image = 40 + 160 * dots + rng.normal(0, 8, size)
    image = np.repeat(image[..., None], 3, axis=-1)
    return image.clip(0, 255).astype("uint8"), points


def write_dots(folder, num_images=6):
    rows = []
    for index in range(num_images):
        image, points = dots((64 + index, 80), index)
        write_image(folder / f"{index}.png", image)
        numbers = [f"{n:.2f}" for y, x in points for n in (x, y)]
        rows.append(",".join([f"{index}", *numbers]))
    (folder / "points.csv").write_text("\n".join(rows))


def small_net(activation="softplus"):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 128, -1),
            keras.layers.Conv2D(12, 5, padding="same", activation="relu"),
            keras.layers.Conv2D(12, 5, padding="same", activation="relu"),
            keras.layers.Conv2D(1, 1, activation=activation),
        ]
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dots")
    write_dots(folder)
    keras.utils.set_random_seed(0)
    model = kp.HeatmapObjectCountingModel(small_net())
    model.set_density_map_sigma(SIGMA)
    model.set_patch_size(height=32, width=32)
    train = model.load_heatmap_dataset_with_csv_from_directory(
        folder, "points.csv", seed=0, batch_size=12, augment=True
    )
    epochs = 25
    rate = keras.optimizers.schedules.CosineDecay(1e-2, epochs * len(train))
    model.compile(keras.optimizers.Adam(rate))
    model.fit(train, epochs=epochs, verbose=0)
    return model


def test_it_is_a_model_as_all_others_of_keras(tmp_path):
    rng = np.random.default_rng(0)
    options = {
        "density_map_sigma": SIGMA,
        "density_scale": 50.0,
        "value_range": (0, 1),
        "patch_size": 8,
        "overlap": 2,
    }
    check_task_model(
        kp.HeatmapObjectCountingModel,
        lambda: {"patch_model": small_net(), **options},
        rng.random((2, 8, 8, 3)),
        rng.random((2, 8, 8)),
        rng.random((1, 19, 30, 3)).astype("float32"),
        tmp_path,
    )


def test_whole_images_are_counted_and_objects_located(trained):
    data = [dots((101, 67), seed, num_dots=20) for seed in range(90, 94)]
    images, points = zip(*data, strict=True)
    scores = trained.evaluate_full_images(images, points)
    assert scores["count_mae"] < 2
    assert scores["f1"] > 0.9
    heatmaps = trained.predict(np.stack(images), verbose=0)
    assert heatmaps.shape == (4, 101, 67, 1)
    assert heatmaps.dtype == "float32"
    counts = trained.decode_predictions(heatmaps)
    np.testing.assert_allclose(counts, heatmaps.sum(axis=(1, 2, 3)), rtol=1e-4)


def test_a_folder_is_scored_with_points_as_they_are_read(trained, tmp_path):
    write_dots(tmp_path, num_images=2)
    points = kp.read_points(tmp_path, "points.csv")
    scores = trained.evaluate_full_images(tmp_path, points)
    paths = [tmp_path / "1.png", tmp_path / "0.png"]
    assert trained.evaluate_full_images(paths, points) == scores
    in_order = [points["1.png"], points["0.png"]]
    assert trained.evaluate_full_images(paths, in_order) == scores
    with pytest.raises(ValueError, match=r"1\.png: has points and is not am"):
        trained.evaluate_full_images(paths[1:], points)
    with pytest.raises(ValueError, match=r"1\.png: has no points"):
        trained.evaluate_full_images(paths, {"0.png": points["0.png"]})
    with pytest.raises(ValueError, match="as `read_points` gives"):
        trained.evaluate_full_images(tmp_path, "points.csv")
    with pytest.raises(ValueError, match="list of targets"):
        trained.evaluate_full_images([np.zeros((9, 9, 3))], points)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([[5, 60]], r"swapped all would lie inside: give \(y, x\)"),
        ([[5, 600]], r"inside of their image.*\(64, 40\)"),
        ([[0.2, 0.3], [0.9, 0.1]], "fractions"),
        ([[5, 6, 7, 8]], r"\(n, 2\)"),
        ([[np.nan, 3]], "finite"),
    ],
)
def test_points_that_are_not_of_the_image_are_refused(points, message):
    model = kp.HeatmapObjectCountingModel(small_net(), patch_size=16)
    with pytest.raises(ValueError, match=message) as error:
        model.evaluate_full_images([np.zeros((64, 40, 3), "uint8")], [points])
    assert "`targets[0]`" in str(error.value)


def test_full_image_evaluation_reports_the_counts(trained):
    image, points = dots((40, 50), 7)
    callback = kp.callbacks.FullImageEvaluation([image], [points])
    callback.set_model(trained)
    logs = {}
    callback.on_epoch_end(0, logs)
    assert {"val_full_count_mae", "val_full_f1"} <= set(logs)


def test_maxima_are_the_places_of_objects():
    points = np.array([(3.5, 3.5), (13, 21), (25.5, 3), (25, 30), (25.1, 38.4)])
    heatmap = density_map(points, (30, 40), SIGMA)[None, ..., None]
    model = kp.HeatmapObjectCountingModel(small_net(), SIGMA)
    (found, scores), nothing = model.locate(
        np.concatenate([heatmap, 0 * heatmap])
    )
    assert len(found) == 5
    assert (np.diff(scores) <= 0).all()
    assert scores.min() > 0.8
    distances = np.abs(found[:, None] - points).max(axis=-1)
    assert (distances.min(axis=0) <= 0.5).all()
    assert nothing[0].shape == (0, 2)


def spikes(*places, size=(30, 40)):
    """A heatmap whose scores are 1, 0.9, ... at single pixels."""
    heatmap = np.zeros((1, *size, 1), "float32")
    for number, (y, x) in enumerate(places):
        heatmap[0, y, x] = (1 - number / 10) / (2 * np.pi * SIGMA**2)
    return heatmap


@pytest.mark.parametrize(
    ("other", "min_distance", "number"),
    [
        ((10, 12), 0, 2),
        ((10, 12), None, 2),  # sigma: exactly so far apart
        ((10, 12), 2.5, 1),
        ((13, 13), 4, 2),  # further apart than 4, in the corner of a square
        ((13, 12), 4, 1),
        ((10, 13), 2.6, 2),
    ],
)
def test_objects_are_as_far_apart_as_is_asked_for(other, min_distance, number):
    model = kp.HeatmapObjectCountingModel(small_net(), SIGMA)
    heatmap = spikes((10, 10), other)
    points, _ = model.locate(heatmap, min_distance=min_distance)[0]
    assert len(points) == number


def test_pixels_of_one_maximum_are_one_object_and_empty_ones_none():
    model = kp.HeatmapObjectCountingModel(small_net(), SIGMA)
    between = density_map([(13, 21)], (30, 40), SIGMA)[None, ..., None]
    points, _ = model.locate(between, min_distance=0)[0]
    assert len(points) == 1
    points, _ = model.locate(spikes((3, 3)), min_score=0)[0]
    assert points.tolist() == [[3.5, 3.5]]


def test_a_tolerance_of_nothing_is_the_same_place():
    image = np.zeros((16, 16, 3), "uint8")
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(1, 1)]
    )
    net.layers[-1].set_weights([np.ones((1, 1, 3, 1)), np.zeros(1)])
    model = kp.HeatmapObjectCountingModel(
        net, SIGMA, patch_size=16, density_scale=1
    )
    image[5, 5] = 1
    truth = [np.array([[5.5, 6.5]])]
    assert model.evaluate_full_images([image], truth)["f1"] == 1
    scores = model.evaluate_full_images([image], truth, tolerance=0)
    assert scores["f1"] == 0


def test_true_points_in_another_order_of_axes_are_refused():
    model = kp.HeatmapObjectCountingModel(small_net(), SIGMA, patch_size=16)
    images = np.zeros((1, 16, 32, 3), "uint8")
    with pytest.raises(ValueError, match=r"targets\[0\].* swapped"):
        model.evaluate_full_images(images, [[(25, 5)]])


@pytest.mark.parametrize(
    ("heatmaps", "message"),
    [
        (np.zeros((8, 8, 1)), r"predictions\[None\].*\(8, 8, 1\)"),
        (np.zeros((1, 8, 8)), r"\(batch, height, width, 1\)"),
        (np.zeros((1, 8, 8, 3)), r"shape \(1, 8, 8, 3\)"),
        (np.full((1, 8, 8, 1), np.nan), "64 of 64 values are NaN"),
        ([np.zeros((1, 8, 8, 1)), np.zeros((1, 9, 8, 1))], "one size"),
        ("cells", "a str"),
        (None, "a NoneType"),
    ],
)
def test_what_is_no_heatmap_is_neither_counted_nor_searched(heatmaps, message):
    model = kp.HeatmapObjectCountingModel(small_net(), SIGMA)
    for use in (model.decode_predictions, model.locate):
        with pytest.raises(ValueError, match=message):
            use(heatmaps)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"min_score": 30},
        {"min_score": -0.1},
        {"min_score": None},
        {"min_score": np.nan},
        {"min_distance": -1},
        {"min_distance": "4"},
        {"min_distance": np.inf},
    ],
)
def test_thresholds_that_mean_nothing_are_refused(kwargs):
    model = kp.HeatmapObjectCountingModel(small_net(), SIGMA)
    ((name, _),) = kwargs.items()
    with pytest.raises(ValueError, match=f"`{name}`.*Received: {name}="):
        model.locate(spikes((3, 3)), **kwargs)


def test_the_scale_is_fixed_when_training_begins():
    model = kp.HeatmapObjectCountingModel(small_net(), patch_size=16)
    image = np.full((1, 16, 16, 3), 100, "uint8")
    before = model.predict(image, verbose=0)
    model.set_density_map_sigma(8.0)  # twice as wide as the default
    np.testing.assert_allclose(
        model.predict(image, verbose=0), before / 4, rtol=1e-5
    )
    model.compile("adam")
    model.set_density_map_sigma(1.0)
    np.testing.assert_allclose(
        model.predict(image, verbose=0), before / 4, rtol=1e-5
    )
    again = type(model).from_config(model.get_config())
    assert again.density_scale == model.density_scale


def test_a_patch_model_of_another_output_is_refused():
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 1)]
    )
    with pytest.raises(ValueError, match="must end in one channel"):
        kp.HeatmapObjectCountingModel(net)


def test_heatmaps_that_no_label_fits_are_refused():
    layers = keras.layers.AveragePooling2D(4), keras.layers.Conv2D(1, 1)
    net = keras.Sequential([keras.Input((None, None, 3)), *layers])
    model = kp.HeatmapObjectCountingModel(net)
    with pytest.raises(ValueError, match=r"\(4, 8\) pixels from patches of"):
        model.set_patch_size(16, 32)
    assert model.patch_size is None


def test_ready_heatmaps_train_through_the_model(tmp_path):
    for name in ("images", "heatmaps"):
        (tmp_path / name).mkdir()
    image, points = dots((40, 40), 0)
    write_image(tmp_path / "images/a.png", image)
    heatmap = density_map(points, (40, 40), SIGMA)
    write_image(tmp_path / "heatmaps/a.tif", heatmap)
    model = kp.HeatmapObjectCountingModel(small_net(), patch_size=16)
    train = model.load_dataset_from_directory_with_segmentation_masks(
        tmp_path / "images", tmp_path / "heatmaps", batch_size=9, verbose=False
    )
    np.testing.assert_allclose(train[0][1].sum(), 25, rtol=1e-4)
    model.compile("adam")
    history = model.fit(train, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]


def test_the_scale_of_a_copy_still_follows_sigma():
    model = kp.HeatmapObjectCountingModel(small_net(), 4.0)
    copy = kp.HeatmapObjectCountingModel.from_config(model.get_config())
    for each in (model, copy):
        each.set_density_map_sigma(15.0)
    assert copy.density_scale == model.density_scale
