"""What is trained on 8 bits is predicted on the 12-bit originals."""

import json
import pathlib
import subprocess
import sys
import warnings

import keras
import numpy as np
import pytest
import tifffile
from page_reader import PageReader

import keras_patching as kp
from keras_patching import cli
from keras_patching.callbacks import PredictionGallery
from keras_patching.data.images.resizing import resize_image
from keras_patching.data.images.value_range import fitting_range
from keras_patching.data.inspection.contents import CacheContents
from keras_patching.data.inspection.shown_patches import ShownPatches
from keras_patching.inference import predict_files

RNG = np.random.default_rng(0)
SIZE = 24, 26
BOTH = pytest.mark.parametrize("normalize", ["percentile", "zscore"])


@pytest.fixture
def folder(tmp_path):
    """Images of 8 bits, the same in 12 bits, masks and labels."""
    for kind in ("images", "originals", "masks"):
        (tmp_path / kind).mkdir()
    boxes = {}
    for index in range(2):
        # Each channel in a range of its own.
        image = RNG.integers(0, 256, (*SIZE, 3)) // (1, 2, 5)
        write_both(tmp_path, index, image.astype("uint8"), 16 * image + 7)
        mask = (image[..., 0] > 128).astype("uint8")
        kp.data.write_image(tmp_path / "masks" / f"{index}.png", mask)
        box = {"all_points_x": [3, 12], "all_points_y": [4, 15]}
        boxes[f"{index}.png"] = {
            "width": SIZE[1],
            "height": SIZE[0],
            "file_name": f"{index}.png",
            "objects": [{**box, "label": "plant"}],
        }
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    (tmp_path / "points.csv").write_text("0.png,3,4,9,15\n1.png,12,9\n")
    return tmp_path


def write_both(folder, name, image, original):
    kp.data.write_image(folder / "images" / f"{name}.png", image)
    write_original(folder / "originals" / f"{name}.tif", original)


def write_original(path, original):
    original = np.asarray(original, "uint16")
    tifffile.imwrite(path, original, photometric="rgb")


def net(filters, activation="softmax", scale=1 / 255):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(scale),
            keras.layers.Conv2D(
                filters, 3, padding="same", activation=activation
            ),
        ]
    )


def segmenter(folder, **options):
    model = kp.SemanticSegmentationModel(2, net(2), patch_size=8, **options)
    return (
        model,
        lambda **how: model.load_dataset_from_directory_with_segmentation_masks(
            folder / "images", folder / "masks", verbose=False, **how
        ),
    )


def counter(folder, **options):
    patch_model = net(1, "linear")
    model = kp.HeatmapObjectCountingModel(patch_model, patch_size=8, **options)
    return (
        model,
        lambda **how: model.load_heatmap_dataset_with_csv_from_directory(
            folder / "images", folder / "points.csv", verbose=False, **how
        ),
    )


def detector(folder, **options):
    patch_model = keras.Sequential(
        [
            *net(10, "relu").layers,
            keras.layers.AveragePooling2D(8),
            keras.layers.Conv2D(30, 1),
            keras.layers.Reshape((2, 2, 5, 6)),
        ]
    )
    patch_model.build((None, 16, 16, 3))
    model = kp.ObjectDetectionModel(
        patch_model, grid_size=2, patch_size=16, overlap=4, **options
    )
    return model, lambda **how: model.load_yolo_dataset_from_directory(
        folder / "boxes.json", folder / "images", verbose=False, **how
    )


TASKS = pytest.mark.parametrize("make", [segmenter, counter, detector])


def trained(make, folder, **options):
    model, load = make(folder, **options)
    model.compile("adam")
    model.fit(load(batch_size=8, seed=0), verbose=0)
    return model


def outputs_of(model, images, **how):
    if isinstance(model, kp.ObjectDetectionModel):
        how["transform"] = "patches"
    if isinstance(model, kp.HeatmapObjectCountingModel):
        how["transform"] = "heatmap"
    return list(model.predict_images(images, verbose=False, **how))


def files(folder, kind):
    return sorted((folder / kind).iterdir())


@TASKS
@BOTH
def test_what_is_trained_on_8_bits_predicts_12_bits_the_same(
    make, normalize, folder
):
    model = trained(make, folder, normalize=normalize)
    assert model.get_config()["normalize"] == normalize
    expected = outputs_of(model, files(folder, "images"))
    originals = files(folder, "originals")
    held = [model.prepare_image(tifffile.imread(path)) for path in originals]
    for sources in (originals, held, map(tifffile.memmap, originals)):
        found = outputs_of(model, list(sources))
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)
    for path, one in zip(originals, expected, strict=True):
        found = model.predict(model.read_image(path)[None], verbose=0)[0]
        np.testing.assert_allclose(found, one, atol=1e-4)


def test_rounding_to_8_bits_is_all_that_differs(folder):
    original = RNG.integers(300, 2500, (*SIZE, 3))
    rounded = np.rint(original / 4095 * 255).astype("uint8")
    write_both(folder, "0", rounded, original)
    model = trained(counter, folder, normalize="percentile", overlap="auto")
    images = [folder / "images" / "0.png", folder / "originals" / "0.tif"]
    prepared = list(map(model.read_image, images))
    # Half a step of 8 bits, of black, of white and of the pixel.
    step = 255 / np.ptp(np.percentile(rounded, (1, 99.8), (0, 1)), axis=0)
    differs = np.abs(np.subtract(*prepared))
    assert (differs <= 1.2 * step).all()
    # A convolution makes no more of it than its weights are.
    kernel = model.patch_model.layers[-1].kernel
    most = np.abs(kernel).sum() * differs.max() / 255 / model.density_scale
    one, other = outputs_of(model, images)
    assert np.abs(one - other).max() <= most


@TASKS
@BOTH
def test_patches_are_those_of_the_image_that_is_predicted(
    make, normalize, folder
):
    model, load = make(folder, normalize=normalize)
    how = {"augment": False, "shuffle": False, "batch_size": 1000}
    sequence = load(**how)
    patches, _ = sequence[0]
    assert patches.dtype == "float32"
    assert sequence.parameters["normalize"] == normalize
    image = model.read_image(files(folder, "images")[0])
    height, width = model.patch_size
    black = model.value_range[0]
    image = np.pad(
        image, [(0, height), (0, width), (0, 0)], constant_values=black
    )
    (source, *_) = CacheContents(sequence.manifest_path).manifest.sources
    for patch, (y, x) in zip(patches, source.origins, strict=False):
        expected = image[y : y + height, x : x + width]
        np.testing.assert_array_equal(patch, expected)


def test_a_detector_may_keep_whole_normalized_images(folder):
    _, load = detector(folder, normalize="zscore")
    how = {"shuffle": False, "batch_size": 1000, "seed": 0}
    patches, _ = load(**how)[0]
    windows, _ = load(store="images", **how)[0]
    np.testing.assert_array_equal(windows, patches)


def test_files_of_several_dtypes_are_trained_on_together(folder):
    image = RNG.integers(0, 4096, (*SIZE, 3))
    kp.data.write_image(folder / "images" / "2.tif", image.astype("float32"))
    mask = np.zeros(SIZE, "uint8")
    kp.data.write_image(folder / "masks" / "2.png", mask)
    _, load = segmenter(folder)
    with pytest.raises(ValueError, match="with one dtype"):
        load()
    _, load = segmenter(folder, normalize="percentile")
    assert len(load().image_names) == 3


def test_a_saved_model_normalizes_in_another_process(folder):
    model = trained(segmenter, folder, normalize="zscore", overlap=4)
    model.save(folder / "model.keras")
    path = files(folder, "originals")[0]
    code = (
        "import sys, numpy, keras_patching as kp\n"
        "model = kp.inference.load_model('model.keras')\n"
        "image = model.read_image(sys.argv[1])\n"
        "numpy.save('found.npy', model.predict(image[None], verbose=0)[0])\n"
    )
    subprocess.run([sys.executable, "-c", code, path], cwd=folder, check=True)
    expected = model.predict(model.read_image(path)[None], verbose=0)[0]
    np.testing.assert_allclose(np.load(folder / "found.npy"), expected, 1e-5)


def test_whole_images_are_judged_as_they_are_trained_on(folder):
    model = trained(segmenter, folder, normalize="zscore")
    masks = files(folder, "masks")
    scores = [
        model.evaluate_full_images(files(folder, kind), masks)
        for kind in ("images", "originals")
    ]
    held = list(map(model.read_image, files(folder, "originals")))
    assert scores[0] == scores[1] == model.evaluate_full_images(held, masks)


@BOTH
def test_the_default_nets_begin_with_values_about_zero(normalize):
    image = 9000 + RNG.gamma(2, 50, (64, 64, 3)).astype("uint16")
    for make in (kp.SemanticSegmentationModel, kp.ObjectDetectionModel):
        model = make(normalize=normalize, patch_size=64)
        rescale = model.patch_model.layers[1]
        seen = np.asarray(rescale(model.prepare_image(image)[None]))
        assert abs(seen.mean()) < 0.8
        assert 0.2 < seen.std() < 0.7
        assert rescale(np.float32(model.predictor.pad_value)) == -1


def test_images_are_normalized_and_then_resized(folder):
    path = files(folder, "originals")[0]
    model, _ = segmenter(folder, normalize="zscore")
    expected = resize_image(model.read_image(path), 0.5)
    model, load = segmenter(folder, normalize="zscore", resize=0.5)
    np.testing.assert_array_equal(model.read_image(path), expected)
    original = tifffile.imread(path)
    np.testing.assert_array_equal(model.prepare_image(original), expected)
    patches, _ = load(shuffle=False, batch_size=1000)[0]
    np.testing.assert_allclose(patches[0], expected[:8, :8], atol=1e-5)
    seen = []

    def keep(rows):
        seen.append(rows)
        return True

    list(model.predict_images([path], keep=keep, verbose=False))
    np.testing.assert_array_equal(np.concatenate(seen), expected)


# What is refused


@TASKS
def test_integers_in_memory_are_refused_with_the_mend(make, folder):
    model, _ = make(folder, normalize="percentile")
    image = kp.data.read_image(files(folder, "images")[0])
    mend = r"percentile.*float32.*read_image.*prepare_image.*dtype=uint8"
    with pytest.raises(ValueError, match=mend):
        model.predict(image[None], verbose=0)
    with pytest.raises(ValueError, match=mend):
        next(model.predict_images([image], verbose=False))
    with pytest.raises(ValueError, match=mend):
        kp.verify_tiling(model, [image])
    prepared = model.prepare_image(image)
    model.predict(prepared[None], verbose=0)
    next(model.predict_images([prepared], verbose=False))


@BOTH
def test_floats_that_hardly_are_normalized_are_doubted(normalize, folder):
    model, _ = segmenter(folder, normalize=normalize)
    raw = tifffile.imread(files(folder, "originals")[0]).astype("float32")
    raws = [raw + 1000, raw / 4096] if normalize == "percentile" else [raw]
    for image in raws:
        with pytest.warns(UserWarning, match="hardly are any.*prepare_image"):
            model.predict(image[None], verbose=0)
        with pytest.warns(UserWarning, match="image 0: .*hardly are any"):
            list(model.predict_images([image], verbose=False))
    raw[3, 4] = np.nan
    with pytest.raises(ValueError, match=r"finite numbers.*prepare_image"):
        model.predict(raw[None], verbose=0)
    assert np.isfinite(model.prepare_image(raw)).all()


@TASKS
def test_a_data_set_that_is_normalized_otherwise_is_refused(make, folder):
    _, load = make(folder)
    model, _ = make(folder, normalize="percentile")
    model.compile("adam")
    with pytest.raises(ValueError, match=r"normalize=None.*'percentile'"):
        model.fit(load(), verbose=0)


def test_batches_of_integers_are_refused(folder):
    _, load = segmenter(folder, normalize="percentile")
    with pytest.raises(ValueError, match=r"fractions.*dtype='uint8'"):
        load(dtype="uint8")
    assert not (folder / "images_patches").exists()
    sequence = load(dtype="float16")
    assert sequence[0][0].dtype == "float16"
    with pytest.raises(ValueError, match=r"fractions.*dtype='int32'"):
        kp.PatchingSequence(sequence.manifest_path, dtype="int32")


def test_prepare_image_is_read_image_of_what_is_in_memory(folder):
    path = files(folder, "images")[0]
    image = kp.data.read_image(path)
    for options in ({}, {"normalize": "zscore"}):
        model, _ = segmenter(folder, **options)
        np.testing.assert_array_equal(
            model.prepare_image(image), model.read_image(path)
        )
        grey = model.prepare_image(image[..., 0])
        assert grey.shape == (*SIZE, 3)
    model, _ = segmenter(folder)
    expected = fitting_range(0, 4087)
    with pytest.raises(ValueError, match=rf"value_range=\(0, {expected[1]}\)"):
        model.prepare_image(16 * image.astype("uint16") + 7)
    with pytest.raises(ValueError, match=r"one image.*shape=\(1, 24, 26, 3\)"):
        model.prepare_image(image[None])


# Pictures


@BOTH
def test_pictures_of_files_are_of_their_own_pixels(normalize, folder):
    model = trained(segmenter, folder, normalize=normalize)
    predict_files(model, folder / "images", folder / "found", verbose=False)
    for path in files(folder, "images"):
        mask = kp.data.read_mask(folder / "found" / "masks" / path.name)
        shown = kp.data.read_image(folder / "found" / "overlays" / path.name)
        image = kp.data.read_image(path)
        shown = shown[: SIZE[0], : SIZE[1]]  # Below it is a legend.
        assert not mask.all()
        np.testing.assert_array_equal(shown[mask == 0], image[mask == 0])


@BOTH
def test_a_hot_pixel_leaves_pictures_as_bright_as_they_are(normalize, folder):
    for path in files(folder, "originals"):
        image = tifffile.imread(path) // 40
        image[3, 3] = 60_000
        write_original(path, image)
    model, _ = segmenter(folder, normalize=normalize)
    sequence = model.load_dataset_from_directory_with_segmentation_masks(
        folder / "originals", folder / "masks", verbose=False, augment=True
    )
    assert sequence[0][0].max() > 2 * model.value_range[1]
    shown = ShownPatches(CacheContents(sequence.manifest_path), 4)
    assert np.mean(shown.pictures) > 50
    gallery = PredictionGallery(
        files(folder, "originals"), directory=folder / "gallery"
    )
    gallery.set_model(model)
    gallery.on_epoch_end(0)
    picture = kp.data.read_image(folder / "gallery" / "epoch_001_0.png")
    assert picture[-SIZE[0] :, : SIZE[1]].mean() > 50
    predict_files(
        model,
        folder / "originals",
        folder / "found",
        report=True,
        verbose=False,
    )
    for path in (folder / "found" / "overlays").iterdir():
        picture = kp.data.read_image(path)
        assert picture[: SIZE[0], : SIZE[1]].mean() > 50
    page = PageReader((folder / "found" / "report.html").read_text())
    assert np.mean(page.pictures()[0].convert("RGB")) > 50


# The command


def test_the_command_cuts_what_the_loader_of_a_model_finds(folder, capsys):
    arguments = [folder / "originals", folder / "masks", "--patch-size", "8"]
    options = ["--normalize", "zscore"]
    assert cli.main(["patch", *map(str, arguments), *options]) == 0
    model, _ = segmenter(folder, normalize="zscore")
    capsys.readouterr()
    model.load_dataset_from_directory_with_segmentation_masks(
        *arguments[:2], verbose=True
    )
    assert "Found" in capsys.readouterr().out
    (manifest,) = pathlib.Path(folder / "originals_patches").glob("*.json")
    assert kp.PatchingSequence(manifest).parameters["value_range"] == [-3, 3]


def test_no_range_stands_in_the_way(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        model, _ = segmenter(folder, normalize="percentile", overlap="auto")
        for path in files(folder, "originals"):
            model.read_image(path)
        list(model.predict_images(files(folder, "originals"), verbose=False))
