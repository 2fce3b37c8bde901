import time

import keras
import numpy as np
import pytest
from networks import fill, strided_unet
from rasters import Raster
from small_nets import counting_model

import keras_patching as kp
from keras_patching.models.model_digest import model_digest

SIZES = [(90, 70), (50, 121), (201, 33), (64, 64), (13, 9)]
TILINGS = {
    "streamed": {"overlap": "auto"},
    "few rows": {"overlap": "auto", "predict_patch_size": (8, None)},
    "tiles": {"overlap": "auto", "predict_patch_size": (64, 64)},
    "patches": {},
    "overlap": {"overlap": 16},
    "mean": {"overlap": 16, "blend": "mean"},
    "shrunk": {"overlap": 16, "multiple_of": 4, "shrink": True},
    "apart": {"overlap": 8, "stitch": False},
}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, shape).astype("float32")


def images_of(sizes=SIZES, channels=1):
    return [draw(*size, channels, seed=i) for i, size in enumerate(sizes)]


@pytest.fixture(scope="module")
def net():
    return fill(strided_unet())


class Rows:
    """An image that is somewhere else: it notes which rows are read."""

    def __init__(self, image, fails_at=None):
        self.shape, self.dtype = image.shape, image.dtype
        self.image, self.fails_at = image, fails_at
        self.read = []

    def __getitem__(self, key):
        rows = key[0]
        if self.fails_at is not None and rows.stop > self.fails_at:
            raise OSError("the disk is gone")
        self.read.append((rows.start, rows.stop))
        return self.image[key]


@pytest.mark.parametrize("tiling", TILINGS.values(), ids=TILINGS)
@pytest.mark.parametrize("batch_size", [None, 3])
def test_each_image_is_predicted_as_alone(net, tiling, batch_size):
    if "shrink" in tiling and keras.backend.backend() == "tensorflow":
        pytest.skip("Its `predict` shrinks only where it knows the size.")
    model = kp.PatchedModel(net, patch_size=32, **tiling)
    images = images_of()
    found = model.predict_images(images, batch_size=batch_size, verbose=False)
    for image, predicted in zip(images, found, strict=True):
        expected = model.predict(image[None], verbose=0)[0]
        assert predicted.dtype == expected.dtype
        np.testing.assert_allclose(predicted, expected, atol=1e-5)


def test_outputs_of_several_scales_and_dtypes_come_as_the_net_gives_them():
    images = keras.Input((None, None, 1))
    small = keras.layers.Conv2D(3, 4, strides=2, padding="same")(images)
    large = keras.layers.UpSampling2D(4)(small)
    net = keras.Model(images, {"small": small, "large": large})
    model = kp.PatchedModel(net, patch_size=32, overlap="auto")
    images = images_of()
    for image, found in zip(
        images, model.predict_images(images, verbose=False), strict=True
    ):
        expected = model.predict(image[None], verbose=0)
        assert found.keys() == expected.keys()
        for name, output in found.items():
            np.testing.assert_allclose(output, expected[name][0], atol=1e-5)


def test_images_may_come_from_a_generator_of_which_little_is_read_ahead(net):
    model = kp.PatchedModel(net, patch_size=32)
    images = images_of([(40, 40)] * 120)
    begun = []

    def come():
        for number, image in enumerate(images):
            begun.append(number)
            yield image

    found = model.predict_images(come(), verbose=False)
    next(found)
    assert len(begun) < 80
    assert len(list(found)) == 119


@pytest.mark.parametrize("tiling", ["streamed", "patches"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_a_generator_may_use_one_array_again(net, tiling, batch_size):
    if batch_size and keras.backend.backend() != "jax":
        pytest.skip("Lanes side by side are of jax.")
    model = kp.PatchedModel(net, patch_size=32, **TILINGS[tiling])
    images = images_of([(32, 32)] * 9)

    def come():
        frame = np.empty((32, 32, 1), "float32")
        for image in images:
            frame[:] = image
            yield frame

    found = model.predict_images(come(), batch_size=batch_size, verbose=False)
    for image, predicted in zip(images, found, strict=True):
        expected = model.predict(image[None], verbose=0)[0]
        np.testing.assert_allclose(predicted, expected, atol=1e-5)


def test_of_a_lazy_sequence_little_is_taken_ahead(net):
    class Lazy:
        taken = 0

        def __len__(self):
            return 500

        def __getitem__(self, index):
            if index >= 500:
                raise IndexError
            self.taken += 1
            return draw(40, 40, 1)

    lazy = Lazy()
    model = kp.PatchedModel(net, patch_size=32)
    next(model.predict_images(lazy, verbose=False))
    assert lazy.taken < 100


@pytest.mark.parametrize("tiling", ["streamed", "patches"])
def test_what_is_missing_is_told_before_others_are_there(net, tiling):
    model = kp.PatchedModel(net, patch_size=32, **TILINGS[tiling])
    begun = []

    def come():
        for number in range(1000):
            begun.append(number)
            yield "nothing.npy"

    with pytest.raises(FileNotFoundError, match=r"nothing\.npy"):
        next(model.predict_images(come(), verbose=False))
    assert len(begun) < 50


def test_results_that_wait_for_a_slow_one_are_few(net):
    if keras.backend.backend() != "jax":
        pytest.skip("Lanes side by side are of jax.")
    model = kp.PatchedModel(
        net, patch_size=32, overlap="auto", predict_patch_size=(8, None)
    )
    begun = []

    def come():
        yield np.zeros((6000, 8, 1), "float32")
        for number in range(600):
            begun.append(number)
            yield np.zeros((8, 8, 1), "float32")

    found = model.predict_images(come(), batch_size=2, verbose=False)
    assert next(found).shape == (6000, 8, 2)
    assert len(begun) < 300
    assert len(list(found)) == 600


def test_an_image_that_is_larger_than_it_was_is_predicted(net, tmp_path):
    model = kp.PatchedModel(net, patch_size=32, overlap="auto")
    path = tmp_path / "late.npy"
    np.save(path, draw(40, 40, 1))
    images = [draw(40, 40, 1)] * 20
    found = model.predict_images([*images, path], verbose=False)
    next(found)
    late = draw(50, 90, 1)
    np.save(path, late)
    expected = model.predict(late[None], verbose=0)[0]
    np.testing.assert_allclose(list(found)[-1], expected, atol=1e-5)


@pytest.mark.parametrize("overlap", [16, "auto"])
def test_a_function_gets_tensors(net, overlap):
    blend = "crop" if overlap == "auto" else "mean"
    model = kp.PatchedModel(net, patch_size=32, overlap=overlap, blend=blend)

    def check(outputs):
        assert keras.ops.is_tensor(outputs) or isinstance(
            outputs, keras.KerasTensor
        )
        return outputs

    list(
        model.predict_images([draw(40, 40, 1)], transform=check, verbose=False)
    )


@pytest.mark.parametrize(
    "transform", [lambda y: (y, y), lambda y: y[:, ::2], lambda y: y[..., 0, :]]
)
def test_a_function_that_changes_more_than_channels_is_refused(net, transform):
    model = kp.PatchedModel(net, patch_size=32, overlap="auto")
    with pytest.raises(ValueError, match="change channels only"):
        model.predict_images([draw(40, 40, 1)], transform=transform)


@pytest.mark.parametrize("batch_size", [0, -1, 2.5, "3"])
def test_a_batch_size_is_a_positive_integer(net, batch_size):
    model = kp.PatchedModel(net, patch_size=32, overlap="auto")
    with pytest.raises(ValueError, match="batch_size"):
        model.predict_images([draw(40, 40, 1)], batch_size=batch_size)


def test_arrays_that_cannot_hold_the_classes_are_refused(net):
    model = kp.PatchedModel(net, patch_size=32)
    out = np.zeros((40, 40), "int8")
    with pytest.raises(ValueError, match=r"must hold the result.*uint8"):
        model.predict_images(
            [draw(40, 40, 1)],
            transform=lambda y: keras.ops.cast(y[..., 0] > 0, "uint8"),
            out=out,
            verbose=False,
        )


class Scaling(keras.layers.Layer):
    """A layer whose configuration does not tell what it computes."""

    factor = 1.0

    def call(self, x):
        return x * self.factor


def test_a_layer_that_computes_otherwise_is_another_model(monkeypatch):
    model = kp.PatchedModel(
        keras.Sequential([keras.Input((None, None, 1)), Scaling()]),
        patch_size=32,
    )
    model.build((None, None, None, 1))
    before = model_digest(model)
    assert model_digest(model) == before
    monkeypatch.setattr(Scaling, "factor", 5.0)
    assert model_digest(model) != before


def test_only_rows_of_a_band_are_read(net):
    model = kp.PatchedModel(
        net, patch_size=32, overlap="auto", predict_patch_size=(16, None)
    )
    source = Rows(draw(200, 40, 1))
    (found,) = model.predict_images([source], verbose=False)
    expected = model.predict(source.image[None], verbose=0)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert source.read == [(y, min(y + 16, 200)) for y in range(0, 200, 16)]


def test_images_of_many_sizes_compile_three_times_at_most(net):
    if keras.backend.backend() != "jax":
        pytest.skip("Compilations are counted by jax.")
    import jax

    counts = []

    def count(event, *_, **__):
        if event.endswith("backend_compile_duration"):
            counts.append(event)

    model = kp.PatchedModel(net, patch_size=32, overlap="auto")
    images = images_of([(40 + 7 * i, 300 - 11 * i) for i in range(20)])
    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        list(model.predict_images(images, verbose=False))
    finally:
        jax.monitoring.clear_event_listeners()
    assert 1 <= len(counts) <= 3


def test_an_image_that_fails_is_told_at_its_turn(net):
    model = kp.PatchedModel(net, patch_size=32, overlap="auto")
    good, bad = draw(64, 64, 1), Rows(draw(64, 64, 1), fails_at=10)
    found = model.predict_images([good, bad, good], verbose=False)
    assert next(found).shape == (64, 64, 2)
    with pytest.raises(OSError, match="the disk is gone"):
        next(found)


@pytest.mark.parametrize("tiling", ["few rows", "overlap", "mean"])
def test_a_run_that_fails_goes_on_and_ends_in_the_same_bytes(
    net, tiling, tmp_path
):
    model = kp.PatchedModel(net, patch_size=32, **TILINGS[tiling])
    path, other, missing = (
        tmp_path / f"{name}.npy" for name in ("large", "other", "missing")
    )
    np.save(path, draw(200, 40, 1))
    np.save(other, draw(20, 30, 1))
    found = tmp_path / "found"
    out = f"{found}/{{name}}.npy"
    with pytest.raises(ValueError, match="1 of 3 images failed"):
        model.predict_images([path, missing, other], out=out, verbose=False)
    stamp = (found / "large.npy").stat()
    np.save(missing, draw(20, 30, 1))
    model.predict_images([path, missing, other], out=out, verbose=False)
    assert (found / "large.npy").stat() == stamp
    assert len(list(found.iterdir())) == 3


@pytest.mark.parametrize("tiling", ["few rows", "overlap", "mean", "shrunk"])
def test_an_image_is_gone_on_with_in_the_middle_to_the_same_bytes(
    net, tiling, tmp_path
):
    model = kp.PatchedModel(net, patch_size=32, **TILINGS[tiling])
    path, out = tmp_path / "field.img", tmp_path / "field.npy"
    path.write_bytes(b"pixels")
    image = draw(200, 40, 1)
    how = {"out": out, "batch_size": 1, "verbose": False}
    model.predict_images([Raster(path, image)], **how)
    expected = out.read_bytes()
    out.unlink()
    broken = Raster(path, image, fails_at=150)
    with pytest.raises(ValueError, match="the disk is gone"):
        model.predict_images([broken], **how)
    assert not out.exists()
    rest = Raster(path, image)
    model.predict_images([rest], **how)
    assert 0 < rest.rows[0] < 150
    assert out.read_bytes() == expected


def test_who_stops_early_waits_for_what_is_being_read(net):
    model = kp.PatchedModel(
        net, patch_size=32, overlap="auto", predict_patch_size=(8, None)
    )

    class Slow(Rows):
        readers = 0

        def __getitem__(self, key):
            self.readers += 1
            time.sleep(0.02)
            found = super().__getitem__(key)
            self.readers -= 1
            return found

    slow = Slow(draw(400, 40, 1))
    found = model.predict_images([draw(8, 8, 1), slow], verbose=False)
    next(found)
    found.close()
    assert slow.readers == 0
    read = len(slow.read)
    time.sleep(0.1)
    assert len(slow.read) == read < 50


def test_results_go_into_arrays_of_the_user(net):
    model = kp.PatchedModel(net, patch_size=32)
    image, out = draw(50, 40, 1), np.zeros((50, 40, 2), "float32")
    (written,) = model.predict_images([image], out=out, verbose=False)
    assert written is out
    expected = model.predict(image[None], verbose=0)[0]
    np.testing.assert_allclose(out, expected, atol=1e-5)


def test_processes_share_images_and_names_stay_those_of_the_list(net, tmp_path):
    model = kp.PatchedModel(net, patch_size=32)
    images = images_of()
    for index in range(2):
        model.predict_images(
            images,
            out=f"{tmp_path}/{{name}}.npy",
            shard=(index, 2),
            verbose=False,
        )
    for number, image in enumerate(images):
        expected = model.predict(image[None], verbose=0)[0]
        found = np.load(tmp_path / f"image_{number}.npy")
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_function_decides_where_the_outputs_are(net):
    model = kp.PatchedModel(net, patch_size=32, overlap=16, blend="mean")
    images = images_of()
    found = model.predict_images(
        images,
        transform=lambda outputs: keras.ops.argmax(outputs, axis=-1),
        verbose=False,
    )
    for image, classes in zip(images, found, strict=True):
        expected = model.predict(image[None], verbose=0)[0].argmax(-1)
        assert (classes == expected).mean() > 0.999


@pytest.mark.parametrize("overlap", ["auto", 16])
@pytest.mark.parametrize("channels", [1, 2])
def test_classes_are_those_of_decode_predictions(overlap, channels):
    activation = "sigmoid" if channels == 1 else "softmax"
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(
                channels, 3, padding="same", activation=activation
            ),
        ]
    )
    model = kp.SemanticSegmentationModel(
        2, net, value_range=(0, 1), patch_size=32, overlap=overlap
    )
    images = images_of(channels=3)
    found = model.predict_images(images, transform="classes", verbose=False)
    for image, mask in zip(images, found, strict=True):
        predictions = model.predict(image[None], verbose=0)
        expected = model.decode_predictions(predictions)[0]
        assert mask.dtype == expected.dtype
        np.testing.assert_array_equal(mask, expected)


def test_classes_of_what_is_no_number_are_refused():
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    kernel, bias = net.get_weights()
    net.set_weights([kernel * np.nan, bias])
    model = kp.SemanticSegmentationModel(
        2, net, value_range=(0, 1), patch_size=32
    )
    found = model.predict_images(
        [draw(40, 40, 3)], transform="classes", verbose=False
    )
    with pytest.raises(ValueError, match=r"\d+ pixels that are not"):
        next(found)


@pytest.mark.parametrize("overlap", ["auto", 0])
def test_objects_are_counted_and_located_as_in_a_whole_heatmap(overlap):
    model = counting_model(overlap=overlap)
    images = images_of(channels=3)
    found = model.predict_images(images, min_score=0.01, verbose=False)
    maps = model.predict_images(images, transform="heatmap", verbose=False)
    for heatmap, counted in zip(maps, found, strict=True):
        ((points, scores),) = model.locate(heatmap[None], min_score=0.01)
        np.testing.assert_array_equal(counted["points"], points)
        np.testing.assert_array_equal(counted["scores"], scores)
        (count,) = model.decode_predictions(heatmap[None])
        assert counted["count"] == pytest.approx(count, rel=1e-5)


def test_boxes_are_those_of_the_whole_image():
    model = kp.ObjectDetectionModel(
        grid_size=(4, 4), patch_size=64, overlap=16, value_range=(0, 1)
    )
    images = images_of(channels=3)
    found = model.predict_images(images, score_threshold=0.1, verbose=False)
    for image, boxes in zip(images, found, strict=True):
        raw = model.predict(image[None], verbose=0)
        (expected,) = model.merge_predictions(raw, image.shape[:2], 0.1)
        assert boxes.keys() == expected.keys()
        for name, values in boxes.items():
            np.testing.assert_allclose(values, expected[name], atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sources": np.zeros((40, 40, 1))}, "pass one as a list"),
        ({"transform": "classes"}, "of the names: none"),
        ({"shard": (2, 2)}, "0 <= index < count"),
        ({"out": "{name}.png"}, "png"),
    ],
)
def test_what_cannot_be_meant_is_refused(net, arguments, message, tmp_path):
    model = kp.PatchedModel(net, patch_size=32)
    if "out" in arguments:
        arguments = {"out": f"{tmp_path}/{arguments['out']}"}
    arguments = {"sources": images_of(), **arguments}
    with pytest.raises(ValueError, match=message):
        model.predict_images(**arguments, verbose=False)


def test_options_that_a_task_does_not_have_are_refused(net):
    model = kp.PatchedModel(net, patch_size=32)
    with pytest.raises(TypeError, match="min_score"):
        model.predict_images(images_of(), min_score=0.3)


def test_a_model_is_built_for_the_channels_of_the_first_image():
    model = kp.PatchedModel(
        keras.Sequential([keras.layers.Conv2D(2, 3, padding="same")]),
        patch_size=32,
    )
    image = draw(40, 50, 4)
    (found,) = model.predict_images([image], verbose=False)
    expected = model.predict(image[None], verbose=0)[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_patch_size_must_be_known(net):
    with pytest.raises(ValueError, match="set_patch_size"):
        kp.PatchedModel(net).predict_images(images_of())


def test_images_without_an_end_in_sight_tell_how_many_were_done(net, capsys):
    model = kp.PatchedModel(net, patch_size=32)
    for _ in model.predict_images(iter(images_of(SIZES[-2:]))):
        pass
    assert capsys.readouterr().out.startswith("2 images, ")


def test_pixels_that_are_there_already_are_not_told_as_done(
    net, capsys, tmp_path
):
    model = kp.PatchedModel(net, patch_size=32)
    images = images_of(SIZES[:2])
    for name, image in zip("ab", images, strict=True):
        np.save(tmp_path / f"{name}.npy", image)
    np.save(tmp_path / "c.npy", images[0][:1, :1, :0])
    paths = [tmp_path / f"{name}.npy" for name in "abc"]
    for _ in range(2):
        with pytest.raises(ValueError, match="1 of 3 images failed"):
            model.predict_images(paths, out=str(tmp_path / "out/{name}.npy"))
    first, second = capsys.readouterr().out.splitlines()
    assert "megapixels/s" in first
    assert "megapixels/s" not in second
