import keras
import numpy as np
import pytest
from networks import fill, strided_unet
from rasters import Raster
from small_nets import counting_model

import keras_patching as kp

PATCHES = {
    "patches": {},
    "overlap": {"overlap": 16},
    "mean": {"overlap": 16, "blend": "mean"},
    "gaussian": {"overlap": 16, "blend": "gaussian"},
}


def draw(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0, 1, shape).astype("float32")


def enlarge(mask, size):
    """Say which pixels of an image a coarse mask keeps."""
    rows, columns = (
        np.arange(length) * cells // length
        for length, cells in zip(size, mask.shape, strict=True)
    )
    return mask[rows][:, columns]


@pytest.fixture(scope="module")
def net():
    return fill(strided_unet())


def predict(model, images, **options):
    return list(model.predict_images(images, verbose=False, **options))


class Reads:
    """An image that is somewhere else: it notes which rows are read."""

    def __init__(self, image):
        self.shape, self.dtype, self.image = image.shape, image.dtype, image
        self.rows = []

    def __getitem__(self, key):
        self.rows += range(key[0].start, key[0].stop)
        return self.image[key]


@pytest.mark.parametrize("tiling", PATCHES.values(), ids=PATCHES)
@pytest.mark.parametrize("cells", [(4, 5), (200, 170), (301, 333)])
def test_what_is_kept_of_patches_comes_out_as_without(net, tiling, cells):
    model = kp.PatchedModel(net, patch_size=32, **tiling)
    image, mask = draw(200, 170, 1), np.zeros(cells, "uint8")
    mask[: cells[0] // 4, : cells[1] // 3] = 255
    (expected,) = predict(model, [image])
    (found,) = predict(model, [image], keep=[mask], fill=-7)
    filled = (found == -7).all(axis=-1)
    np.testing.assert_allclose(found[~filled], expected[~filled], atol=1e-6)
    rows, columns = 50, -(-170 * (cells[1] // 3) // cells[1])
    assert not filled[:rows, :columns].any()
    assert filled[rows + 32 :].all()
    assert filled[:, columns + 32 :].all()
    assert 0.5 < model.skipped_share < 1


def test_patches_with_nothing_in_them_are_not_read(net):
    model = kp.PatchedModel(net, patch_size=32)
    source, mask = Reads(draw(128, 64, 1)), np.zeros((4, 2))
    mask[2, 1] = 1
    predict(model, [source], keep=[mask])
    assert set(source.rows) == set(range(64, 96))
    assert model.skipped_share == 7 / 8


@pytest.mark.parametrize("overlap", [0, 16])
def test_an_image_with_nothing_in_it_is_filled(net, overlap):
    model = kp.PatchedModel(net, patch_size=32, overlap=overlap)
    images = [draw(50, 40, 1), np.ones((70, 40, 1)), draw(50, 40, 1, seed=1)]
    first, empty, last = predict(model, images, keep="content", fill=3)
    assert empty.shape == (70, 40, 2)
    assert (empty == 3).all()
    np.testing.assert_allclose(first, predict(model, images[:1])[0], atol=1e-6)
    np.testing.assert_allclose(last, predict(model, images[2:])[0], atol=1e-6)


def test_content_is_what_is_not_of_one_value(net):
    model = kp.PatchedModel(net, patch_size=32)
    image = np.zeros((32, 160, 1), "float32")
    image[:, 32:64] = np.nan
    image[:, 64:96] = 7
    image[20, 70] = 8
    image[:, 128:160] = np.linspace(0, 1, 32)[:, None]
    (found,) = predict(model, [image], keep="content", fill=-1)
    is_filled = (found == -1).all(axis=(0, 2)).reshape(5, 32)
    assert is_filled.all(axis=1).tolist() == [True, True, False, True, False]


def test_a_function_keeps_pixels_or_all_rows(net):
    model = kp.PatchedModel(net, patch_size=32)
    image = draw(64, 96, 1)
    image[40, 40] = 5
    (expected,) = predict(model, [image])

    def pixels(rows):
        assert rows.shape[1:] == (96, 1)
        return rows[..., 0] > 4

    (found,) = predict(model, [image], keep=pixels)
    inside = slice(32, 64), slice(32, 64)
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-6)
    assert np.count_nonzero(found) <= 32 * 32 * 2
    (found,) = predict(model, [image], keep=[lambda rows: (rows > 4).any()])
    assert (found[:32] == 0).all()
    np.testing.assert_allclose(found[32:], expected[32:], atol=1e-6)


def test_classes_hold_a_value_that_is_no_class_where_nothing_is_kept():
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    model = kp.SemanticSegmentationModel(
        2, net, value_range=(0, 1), patch_size=32, overlap=0
    )
    for value in (2, 255):
        (mask,) = predict(
            model,
            [draw(64, 64, 3)],
            transform="classes",
            keep=[np.eye(2)],
            fill=value,
        )
        assert (mask[:32, 32:] == value).all()
        assert (mask[:32, :32] < 2).all()
    with pytest.raises(ValueError, match="`fill` must be a number"):
        predict(model, [draw(64, 64, 3)], transform="classes", fill=-1)


@pytest.mark.filterwarnings("ignore:The patches of")
@pytest.mark.parametrize("decoder", [None, "own"])
def test_objects_are_found_in_kept_patches_only(decoder):
    def decode(raw):
        if (keras.ops.convert_to_numpy(raw) == 0).any():
            raise AssertionError("no patch model gives this")
        scores = np.full((len(raw), 1), 0.9)
        boxes = np.tile([[[8.0, 8.0, 56.0, 56.0]]], (len(raw), 1, 1))
        return {"boxes": boxes, "scores": scores, "labels": scores * 0}

    model = kp.ObjectDetectionModel(
        grid_size=(4, 4),
        patch_size=64,
        value_range=(0, 1),
        prediction_decoder=decode if decoder else None,
    )
    images, how = [draw(128, 192, 3)] * 2, {"score_threshold": 0.01}
    everything, nothing = predict(
        model, images, keep=[None, np.zeros((2, 3))], **how
    )
    mask = np.array([[0, 1, 0], [0, 0, 0]])
    (found,) = predict(model, images[:1], keep=[mask], **how)
    x, y = (everything["boxes"][:, i::2].mean(axis=1) for i in range(2))
    inside = (x > 64) & (x < 128) & (y < 64)
    assert set(inside) == {True, False}
    assert len(nothing["boxes"]) == 0
    assert found.keys() == nothing.keys()
    np.testing.assert_allclose(found["boxes"], everything["boxes"][inside])
    np.testing.assert_allclose(found["scores"], everything["scores"][inside])


def test_outputs_that_are_not_stitched_are_computed_everywhere(net):
    model = kp.PatchedModel(net, patch_size=32, stitch=False)
    image = draw(64, 64, 1)
    (found,) = predict(model, [image], keep=[np.eye(2)])
    np.testing.assert_allclose(found, predict(model, [image])[0], atol=1e-6)
    assert model.skipped_share == 0


def test_how_much_was_skipped_is_told(net, capsys):
    model = kp.PatchedModel(net, patch_size=32)
    images, keep = [draw(64, 64, 1)] * 2, [np.eye(2), None]
    list(model.predict_images(images, keep=keep))
    assert "25% of 2 images was skipped" in capsys.readouterr().out
    predict(model, images, keep=keep)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("keep", ["mask", "content", "function"])
def test_a_killed_run_goes_on_where_the_same_is_kept(net, keep, tmp_path):
    model = kp.PatchedModel(net, patch_size=32)
    path, out = tmp_path / "field.npy", tmp_path / "found" / "{name}.npy"
    np.save(path, draw(64, 64, 1))
    missing = tmp_path / "missing.npy"

    def run(keep, image):
        np.save(missing, image)
        model.predict_images([path, missing], out=out, keep=keep, verbose=False)
        return (out.parent / "field.npy").stat().st_mtime_ns

    keeps = {
        "mask": [np.eye(2)] * 2,
        "content": "content",
        "function": lambda rows: True,
    }
    image, unfit = draw(64, 64, 1), np.zeros((64, 64, 2))
    with pytest.raises(ValueError, match="1 of 2 images failed"):
        run(keeps[keep], unfit)
    before = (out.parent / "field.npy").stat().st_mtime_ns
    if keep == "mask":
        with pytest.raises(ValueError, match=r"field\.npy: exists already"):
            run([np.ones((2, 2))] * 2, unfit)
    if keep == "function":
        with pytest.raises(ValueError, match=r"field\.npy: exists already"):
            run(keeps[keep], image)
    else:
        assert run(keeps[keep], image) == before


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("contents", "'content', a function, or a list"),
        (np.eye(2), r"an array of shape \(2, 2\)"),
        ([np.eye(2)], "1 for 2 images"),
        ([np.zeros((2, 2, 2))] * 2, "must be of numbers or booleans"),
        (lambda rows: np.ones(3), "must return one boolean"),
    ],
)
def test_what_does_not_tell_places_is_refused(net, keep, message):
    model = kp.PatchedModel(net, patch_size=32)
    with pytest.raises(ValueError, match=message):
        predict(model, [draw(64, 64, 1)] * 2, keep=keep)


STREAMS = {
    "streamed": {"overlap": "auto"},
    "few rows": {"overlap": "auto", "predict_patch_size": (8, None)},
    "some rows": {"overlap": "auto", "predict_patch_size": (48, None)},
}


def rows_kept(height, rows):
    """Say which rows are of places of 64 rows that hold some of these."""
    kept = np.zeros(height, bool)
    for row in rows:
        kept[row // 64 * 64 : row // 64 * 64 + 64] = True
    return kept


@pytest.mark.parametrize("tiling", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("keep", ["mask", "content", "function"])
@pytest.mark.parametrize("batch_size", [1, 2])
def test_what_is_kept_of_rows_comes_out_as_without(
    net, tiling, keep, batch_size
):
    if batch_size > 1 and keras.backend.backend() != "jax":
        pytest.skip("Lanes side by side are of jax.")
    model = kp.PatchedModel(net, patch_size=32, **tiling)
    images, masks, kept = [], [], []
    for height, rows in [
        (700, [70, 430, 450, 699]),
        (500, []),
        (641, [0, 320]),
        (90, [89]),
    ]:
        image, mask = (
            np.zeros((height, 40, 1), "float32"),
            np.zeros((height, 1)),
        )
        image[rows, 7], mask[rows] = 5, 1
        images.append(image)
        masks.append(mask)
        kept.append(rows_kept(height, rows))
    keeps = {
        "mask": masks,
        "content": "content",
        "function": lambda rows: rows[..., 0] == 5,
    }
    how = {"batch_size": batch_size}
    expected = predict(model, images, **how)
    found = predict(model, images, keep=keeps[keep], fill=9, **how)
    for index, rows in enumerate(kept):
        np.testing.assert_allclose(
            found[index][rows], expected[index][rows], atol=1e-6
        )
        assert (found[index][~rows] == 9).all()
    if tiling.get("predict_patch_size"):
        assert model.skipped_share > 0.3


@pytest.mark.parametrize("keep", ["mask", "content"])
def test_rows_are_read_once_and_with_a_mask_only_where_needed(net, keep):
    model = kp.PatchedModel(net, patch_size=32, **STREAMS["few rows"])
    image, mask = np.zeros((800, 40, 1), "float32"), np.zeros((800, 1))
    image[400, 3], mask[400] = 1, 1
    source = Reads(image)
    predict(model, [source], keep="content" if keep == "content" else [mask])
    assert len(source.rows) == len(set(source.rows))
    if keep == "content":
        assert len(source.rows) == 800
    else:
        assert 300 < min(source.rows) < 384
        assert 448 <= max(source.rows) < 500


def test_outputs_of_several_scales_are_filled():
    images = keras.Input((None, None, 1))
    small = keras.layers.Conv2D(3, 5, strides=4, padding="same")(images)
    large = keras.layers.UpSampling2D(8)(small)
    net = keras.Model(images, {"small": small, "large": large})
    model = kp.PatchedModel(
        net, patch_size=32, overlap="auto", predict_patch_size=(16, None)
    )
    image, mask = draw(501, 40, 1), np.zeros((501, 1))
    mask[[130, 500]] = 1
    (expected,) = predict(model, [image])
    (found,) = predict(model, [image], keep=[mask], fill=9)
    for name, scale in [("small", 1 / 4), ("large", 2)]:
        rows = np.arange(len(expected[name]))
        kept = rows_kept(504, [130, 500])[(rows / scale).astype(int)]
        np.testing.assert_allclose(
            found[name][kept], expected[name][kept], atol=1e-6
        )
        assert (found[name][~kept] == 9).all()


def test_objects_are_counted_where_something_is_kept():
    model = counting_model(overlap="auto", predict_patch_size=(16, None))
    image, mask = draw(300, 40, 3), np.zeros((300, 1))
    mask[150] = 1
    (counted,) = predict(model, [image], keep=[mask], min_score=0.01)
    (heatmap,) = predict(model, [image], keep=[mask], transform="heatmap")
    assert counted["count"] == pytest.approx(heatmap.sum(), rel=1e-5)
    y = counted["points"][:, 0]
    assert len(y) > 0
    assert y.min() >= 128
    assert y.max() < 192


@pytest.mark.parametrize("tiling", [*STREAMS.values(), *PATCHES.values()])
@pytest.mark.parametrize("keep", ["mask", "content"])
def test_an_image_is_gone_on_with_in_the_middle_to_the_same_bytes(
    net, tiling, keep, tmp_path
):
    model = kp.PatchedModel(net, patch_size=32, **tiling)
    path, out = tmp_path / "field.img", tmp_path / "field.npy"
    path.write_bytes(b"pixels")
    image, mask = np.zeros((600, 40, 1), "float32"), np.zeros((600, 1))
    rows = [70, 200, 560]
    image[rows, 7], mask[rows] = 5, 1
    keep = "content" if keep == "content" else [mask]
    how = {"out": out, "batch_size": 1, "keep": keep, "verbose": False}
    model.predict_images([Raster(path, image)], **how)
    expected = out.read_bytes()
    out.unlink()
    with pytest.raises(ValueError, match="the disk is gone"):
        model.predict_images([Raster(path, image, fails_at=570)], **how)
    model.predict_images([Raster(path, image)], **how)
    assert out.read_bytes() == expected
