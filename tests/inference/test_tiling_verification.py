"""The measured difference is the one that is there, and where it is."""

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.inference.overlap_comparison import compare_overlaps

L = keras.layers


def conv_model(size=(None, None), strides=1):
    inputs = keras.Input((*size, 2))
    x = L.Conv2D(3, 3, strides=strides, padding="same")(inputs)
    return keras.Model(inputs, L.Conv2D(2, 3, padding="same")(x))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def test_seams_are_found_where_they_are():
    patch_model = conv_model()
    image = draw(1, 40, 16, 2)
    report = kp.verify_tiling(kp.PatchedPredictor(patch_model, 32), image)
    whole = patch_model.predict(image, verbose=0)
    tiles = [
        patch_model.predict(tile, verbose=0)
        for tile in (
            np.pad(image[:, :32], ((0, 0), (0, 0), (0, 16), (0, 0))),
            np.pad(image[:, 32:], ((0, 0), (0, 24), (0, 16), (0, 0))),
        )
    ]
    tiled = np.concatenate(tiles, axis=1)[:, :40, :16]
    difference = np.abs(tiled - whole)[0].max(-1)
    np.testing.assert_allclose(report.difference, difference, atol=1e-6)
    assert report.largest_difference == pytest.approx(difference.max())
    assert difference[report.position] == difference.max()
    # Only about the seam, and along the right edge, where black is padded.
    assert (difference[:30, :14] < 1e-6).all()
    assert report.position[0] in range(30, 34) or report.position[1] >= 14
    picture = report.picture()
    assert picture.dtype == np.uint8
    assert picture.ndim == 3


@pytest.mark.parametrize("size", [(None, None), (32, 32)])
def test_auto_has_no_seam_also_with_a_patch_model_of_fixed_size(size):
    predictor = kp.PatchedPredictor(conv_model(size), 32, overlap="auto")
    images = [draw(75, 41, 2), draw(40, 90, 2)]
    report = kp.verify_tiling(predictor, images)
    assert report.largest_difference <= 1e-5
    assert "image" in str(report)
    assert report.precision.startswith("float32 ")
    assert keras.backend.backend() in str(report)


def test_the_worst_of_several_images_and_outputs_is_reported():
    inputs = keras.Input((None, None, 2))
    seamless = L.Dense(1)(inputs)
    half = L.Conv2D(1, 3, padding="same")(L.AveragePooling2D(2)(inputs))
    patch_model = keras.Model(inputs, {"a": seamless, "b": half})
    images = [np.zeros((20, 40, 2), "float32"), draw(20, 40, 2)]
    predictor = kp.PatchedPredictor(patch_model, 8)
    report = kp.verify_tiling(predictor, images)
    assert (report.image_index, report.output_index) == (1, 1)
    assert report.difference.shape == (10, 20)
    y, x = report.position
    assert report.difference[y // 2, x // 2] == report.largest_difference > 0


def test_a_nan_is_the_largest_difference():
    patch_model = keras.Sequential(
        [keras.Input((None, None, 2)), L.Lambda(lambda x: x / x)]
    )
    image = np.ones((1, 20, 20, 2), "float32")
    image[0, 7, 9] = 0
    report = kp.verify_tiling(kp.PatchedPredictor(patch_model, 8), image)
    assert np.isnan(report.largest_difference)
    assert report.position == (7, 9)
    assert report.picture().shape[2] == 3


def test_models_that_tile_are_verified():
    model = kp.PatchedModel(conv_model(strides=1), 16, overlap="auto")
    whole = keras.Sequential([keras.Input((None, None, 2)), model.predictor])
    for each in (model, whole):
        report = kp.verify_tiling(each, draw(1, 40, 30, 2))
        assert report.largest_difference <= 1e-5


@pytest.mark.parametrize(
    ("model", "images", "message"),
    [
        (conv_model(), draw(1, 8, 8, 2), "PatchedPredictor"),
        (kp.PatchedPredictor(conv_model(), 8), [], "no images"),
        (
            kp.PatchedPredictor(conv_model(), 8, stitch=False),
            draw(1, 8, 8, 2),
            "not stitched",
        ),
    ],
)
def test_what_cannot_be_verified_is_refused(model, images, message):
    with pytest.raises(ValueError, match=message):
        kp.verify_tiling(model, images)


def test_the_weights_survive_an_image_that_cannot_be_predicted():
    inputs = keras.Input((None, None, 2))
    x = L.Conv2D(2, 3, padding="same")(inputs)
    skip = L.UpSampling2D()(L.MaxPooling2D()(x))  # Fails at odd sizes.
    patch_model = keras.Model(inputs, L.Add()([x, skip]))
    predictor = kp.PatchedPredictor(patch_model, 8, overlap=2)
    weights = patch_model.get_weights()
    with pytest.raises(Exception, match=r"shape|size|dim"):
        kp.verify_tiling(
            kp.PatchedPredictor(patch_model, (9, 8), overlap=2),
            draw(1, 31, 9, 2),
        )
    for before, after in zip(weights, patch_model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert kp.verify_tiling(predictor, draw(1, 32, 8, 2)).largest_difference > 0


@pytest.mark.parametrize(
    "images", [draw(8, 8, 2), [draw(8, 8, 2), draw(8, 8, 3)]]
)
def test_images_of_other_shapes_are_refused_before_anything_runs(images):
    with pytest.raises(ValueError, match="Received: images of shape"):
        kp.verify_tiling(kp.PatchedPredictor(conv_model(), 8), images)


def test_smaller_patches_than_those_of_training_are_really_run():
    model = kp.PatchedModel(conv_model(), 16)
    compared = compare_overlaps(model, draw(16, 16, 2), [0, "auto"], 8)
    seams = [report.largest_difference for _, report in compared]
    assert seams[0] > 1e-3
    assert seams[1] <= 1e-5


def test_the_tiling_of_the_model_is_among_those_compared():
    inputs = keras.Input((None, None, 2))
    x = L.UpSampling2D(4)(L.MaxPooling2D(4)(inputs))
    # Six pixels apart, patches do not lie on the stride.
    model = kp.PatchedModel(keras.Model(inputs, x), 32, overlap=26)
    image = draw(70, 70, 2)
    compared = {
        predictor.overlap: report.largest_difference
        for predictor, report in compare_overlaps(model, image)
    }
    assert list(compared) == [(0, 0), (8, 8), (26, 26), "auto"]
    own = compared.pop((26, 26))
    assert own == kp.verify_tiling(model, image[None]).largest_difference
    assert own > 0.1
    assert set(compared.values()) == {0}


def test_layers_before_the_predictor_are_refused():
    layer = kp.PatchedPredictor(conv_model(), 16)
    model = keras.Sequential(
        [keras.Input((None, None, 2)), L.Rescaling(2, name="before"), layer]
    )
    with pytest.raises(ValueError, match="before"):
        kp.verify_tiling(model, draw(1, 20, 20, 2))


def test_a_detector_is_not_verified():
    model = kp.PatchedModel(conv_model(), 16, stitch=False)
    with pytest.raises(ValueError, match="merged"):
        list(compare_overlaps(model, draw(16, 16, 2)))


def blurs(radius):
    """A model that looks far, but at what is far with small weights only."""
    weights = 0.5 ** np.abs(np.arange(-radius, radius + 1.0))
    kernel = np.multiply.outer(weights, weights)
    layer = L.Conv2D(1, 2 * radius + 1, padding="same", use_bias=False)
    net = keras.Sequential([keras.Input((None, None, 1)), layer])
    layer.set_weights([(kernel / kernel.sum())[..., None, None]])
    return net


def test_the_smallest_overlap_for_a_tolerance_is_found_and_measured():
    image = draw(1, 48, 40, 1)
    predictor = kp.PatchedPredictor(blurs(12), 16)
    report = kp.verify_tiling(predictor, image, tolerance=1e-3)
    assert report.grid.overlap == (0, 0)  # Of the predictor itself.
    search = report.search
    found = search.smallest
    differences = {}
    for tried in search.tried:
        if abs(tried.overlap[0] - found.overlap[0]) > 1:
            continue
        tiled = predictor.with_tiling(
            overlap=tried.overlap, predict_patch_size=tried.patch_size
        )
        measured = kp.verify_tiling(tiled, image).largest_difference
        assert tried.largest_difference == pytest.approx(measured, abs=1e-6)
        assert tried.recomputation == tiled.recomputation((48, 40))
        differences[tried.overlap[0]] = measured
    # Half of the overlap lies on either side of a seam: 0.5**8 is 4e-3.
    assert 8 < found.overlap[0] < 24
    assert differences[found.overlap[0]] <= 1e-3
    assert differences[found.overlap[0] - 1] > 1e-3
    assert f"overlap={found.overlap}" in str(report)


def test_overlaps_are_multiples_of_the_stride_and_patches_twice_as_long():
    image = draw(1, 60, 70, 2)
    net = conv_model(strides=4)
    predictor = kp.PatchedPredictor(net, 12)
    search = kp.verify_tiling(predictor, image, tolerance=1e-5).search
    assert search.smallest.overlap == kp.receptive_field(net).overlap
    assert search.smallest.patch_size == (16, 16)
    for tried in search.tried:
        assert tried.overlap[0] % 4 == 0
        assert tried.patch_size[0] == max(12, 2 * tried.overlap[0])


def test_a_tolerance_that_no_overlap_keeps_to_is_said():
    inputs = keras.Input((None, None, 1))
    mean = keras.ops.mean(inputs, axis=(1, 2), keepdims=True)
    net = keras.Model(inputs, L.Subtract()([inputs, mean]))
    predictor = kp.PatchedPredictor(net, 8)
    report = kp.verify_tiling(predictor, draw(1, 40, 30, 1), tolerance=1e-4)
    assert report.search.smallest is None
    assert "no overlap is enough" in str(report)
    assert report.search.tried[-1].overlap == (19, 19)
    # One patch is the whole image.
    report = kp.verify_tiling(predictor, draw(1, 8, 8, 1), tolerance=1e-4)
    assert report.search.smallest.overlap == (0, 0)


@pytest.mark.parametrize("tolerance", [-1e-3, float("nan"), "1e-3", True])
def test_a_tolerance_that_is_no_difference_is_refused(tolerance):
    predictor = kp.PatchedPredictor(conv_model(), 8)
    with pytest.raises(ValueError, match="Received: tolerance="):
        kp.verify_tiling(predictor, draw(1, 16, 16, 2), tolerance)


class HalfAndBack(keras.Model):
    """Calculates with sizes, which must be known."""

    def __init__(self):
        super().__init__()
        self.full = L.Conv2D(3, 3, padding="same")

    def call(self, images):
        x = self.full(images)
        size = x.shape[1] // 2, x.shape[2] // 2
        half = keras.ops.image.resize(x, size, "nearest")
        size = x.shape[1], x.shape[2]
        return x + keras.ops.image.resize(half, size, "nearest")


def test_nets_that_calculate_with_sizes_are_verified():
    net = HalfAndBack()
    net(np.zeros((1, 32, 32, 2), "float32"))
    predictor = kp.PatchedPredictor(net, 16)
    one_patch, two = draw(16, 16, 2), draw(32, 16, 2)
    assert kp.verify_tiling(predictor, [one_patch]).largest_difference == 0
    assert kp.verify_tiling(predictor, [two]).largest_difference > 0.1
