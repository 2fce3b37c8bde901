"""Values that a model would see as black are refused with what would do.

Every message is done as told: what it names works.
"""

import ast
import re

import keras
import numpy as np
import pytest
import tifffile

import keras_patching as kp
from keras_patching.data.images.image_io import write_image
from keras_patching.data.images.value_range import fitting_range
from keras_patching.inference import predict_files

RNG = np.random.default_rng(0)


def write_data(folder, images, suffix=".tif", **options):
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for index, image in enumerate(images):
        path = folder / "images" / f"{index}{suffix}"
        if options:
            tifffile.imwrite(path, image, **options)
        else:
            write_image(path, image)
        mask = np.zeros(image.shape[:2], "uint8")
        mask[:4] = 1
        write_image(folder / "masks" / f"{index}.png", mask)
    return folder


def load(folder, **options):
    options = {"patch_size": 16, "verbose": False, **options}
    return kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images", folder / "masks", **options
    )


def advised(error):
    """The range that a message says to pass."""
    (text,) = set(re.findall(r"value_range=(\(.*?\))", str(error)))
    return ast.literal_eval(text)


def noise(*shape, highest=255, dtype="uint8"):
    image = RNG.integers(0, highest + 1, shape)
    image.flat[0], image.flat[-1] = 0, highest
    return image.astype(dtype)


def small_model(**options):
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    model = kp.SemanticSegmentationModel(2, patch_model=net, **options)
    model.set_patch_size(16, 16)
    return model


@pytest.mark.parametrize(
    ("lowest", "highest", "expected"),
    [
        (0, 200, (0, 255)),
        (0, 256, (0, 511)),
        (12, 4080, (0, 4095)),
        (0, 4096, (0, 8191)),
        (0, 65535, (0, 65535)),
        (-100, 900, (-128, 1023)),
        (0.0, 1.0, (0, 1)),
        (0.2, 0.7, (0, 1)),
        (-1e-7, 1.0000001, (0, 1)),
        (-1.0, 1.0, (-1, 1)),
        (-2.3, 4.1, (-4, 7)),
        (0.0, 254.5, (0, 255)),
        (0.0, 255.5, (0, 511)),
    ],
)
def test_the_range_that_values_are_meant_for(lowest, highest, expected):
    assert fitting_range(lowest, highest) == expected


# Loaders


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        ([noise(20, 20, 3, highest=1000, dtype="uint16")] * 2, (0, 1023)),
        (
            [
                noise(20, 20, 3, highest=900, dtype="uint16"),
                noise(20, 20, 3, highest=4080, dtype="uint16"),
            ],
            (0, 4095),
        ),
        ([noise(20, 20, 3, dtype="int16") - 50], (-64, 255)),
        ([noise(20, 20, 3, dtype="float32") / 128 - 1], (-1, 1)),
        ([noise(20, 20, 3, dtype="float32") / 255] * 2, (0, 1)),
    ],
)
def test_the_range_that_a_loader_names_loads(tmp_path, images, expected):
    write_data(tmp_path, images)
    with pytest.raises(ValueError, match=r"images.*0\.tif") as error:
        load(tmp_path)
    assert advised(error.value) == expected
    sequence = load(tmp_path, value_range=expected)
    assert len(sequence.image_names) == len(images)


def test_a_float_data_set_of_0_to_1_writes_nothing(tmp_path):
    write_data(tmp_path, [noise(20, 20, 3, dtype="float32") / 255])
    with pytest.raises(ValueError, match="all is black"):
        load(tmp_path)
    assert not (tmp_path / "images_patches").exists()


def test_rounding_does_not_make_a_black_float_data_set_bright(tmp_path):
    image = noise(20, 20, 3, dtype="float32") / 255
    image[0, 0], image[0, 1] = -1e-7, 1.0000002
    write_data(tmp_path, [image])
    with pytest.raises(ValueError, match="all is black") as error:
        load(tmp_path)
    assert advised(error.value) == (0, 1)
    load(tmp_path, value_range=(0, 1))


@pytest.mark.usefixtures("aged")
def test_a_whole_cache_is_loaded_without_the_images(tmp_path):
    write_data(tmp_path, [noise(20, 20, 3, highest=4080, dtype="uint16")])
    with pytest.warns(UserWarning, match="all is black"):
        load(tmp_path, value_range=(0, 65535))
    # Warnings are errors in tests: nothing is looked at again.
    load(tmp_path, value_range=(0, 65535))
    with pytest.warns(UserWarning, match="all is black"):
        load(tmp_path, value_range=(0, 65535), overwrite=True)


def test_one_bright_image_is_enough(tmp_path):
    dark = noise(20, 20, 3, highest=1, dtype="float32")
    write_data(tmp_path, [dark, dark * 200])
    assert len(load(tmp_path).image_names) == 2


def test_black_images_are_no_fault(tmp_path):
    write_data(tmp_path, [np.zeros((20, 20, 3), "float32")])
    load(tmp_path)


def test_12_bits_in_a_range_of_16_are_doubted(tmp_path):
    write_data(tmp_path, [noise(20, 20, 3, highest=4080, dtype="uint16")])
    with pytest.warns(UserWarning, match="all is black") as caught:
        load(tmp_path, value_range=(0, 65535))
    assert advised(caught[0].message) == (0, 4095)
    load(tmp_path, value_range=(0, 4095))


def test_8_bits_in_a_range_of_16_are_refused(tmp_path):
    write_data(tmp_path, [noise(20, 20, 3)])
    with pytest.raises(ValueError, match=r"value_range=\(0, 255\)"):
        load(tmp_path, value_range=(0, 65535))


def test_a_black_that_the_dtype_cannot_hold_is_named(tmp_path):
    write_data(tmp_path, [noise(20, 20, 3)])
    with pytest.raises(ValueError, match="uint8 cannot hold the black"):
        load(tmp_path, value_range=(-1, 255))


@pytest.mark.parametrize("nodata", [-9999, "-3.40282e+38", float("nan")])
def test_nodata_is_black_to_what_is_trained(tmp_path, nodata):
    image = noise(20, 20, 3, dtype="float32") / 255
    image[3:6, 4:] = np.finfo("float32").min if "e" in str(nodata) else nodata
    tag = (42113, 2, 0, str(nodata), True)
    write_data(
        tmp_path, [image], photometric="rgb", extratags=[tag], metadata=None
    )
    x, _ = load(tmp_path, value_range=(0, 1), shuffle=False, ignore_value=255)[
        0
    ]
    assert (x[0, 3:6, 4:16] == 0).all()


# Models


def test_floats_of_0_to_1_are_doubted_by_a_model_of_0_to_255():
    model = small_model()
    images = noise(1, 16, 16, 3, dtype="float32") / 255
    with pytest.warns(UserWarning, match="Multiply them by 255"):
        model.predict(images, verbose=0)
    model.predict(images * 255, verbose=0)
    small_model(value_range=(0, 1)).predict(images, verbose=0)


def test_black_arrays_and_arrays_in_range_are_taken_in_silence():
    model = small_model()
    for images in (
        np.zeros((1, 16, 16, 3), "float32"),
        noise(1, 16, 16, 3),
        noise(1, 16, 16, 3, dtype="uint16"),
        noise(1, 16, 16, 3, dtype="float32"),
    ):
        model.predict(images, verbose=0)  # warnings are errors in tests


@pytest.mark.parametrize("value_range", [(0, 1), (0, 255), (-1, 1)])
def test_floats_go_beyond_the_range_by_rounding_only(value_range):
    black, white = value_range
    images = np.full((1, 16, 16, 3), white, "float32")
    images[:, 0] = black
    span = white - black
    images[:, 1], images[:, 2] = black - 1e-5 * span, white + 1e-5 * span
    model = small_model(value_range=value_range)
    model.predict(images, verbose=0)
    images[:, 2] = white + 0.01 * span
    with pytest.raises(ValueError, match="takes images from"):
        model.predict(images, verbose=0)


@pytest.mark.parametrize("method", ["predict", "predict_on_batch", "evaluate"])
def test_values_beyond_the_range_are_refused_before_dispatch(method):
    model = small_model()
    model.compile("adam")
    images = noise(1, 16, 16, 3, highest=4080, dtype="uint16")
    targets = (np.zeros((1, 16, 16), "uint8"),) * (method == "evaluate")
    with pytest.raises(
        ValueError, match=r"from 0 to 255.*\(0, 4095\).*uint16 from 0 to 4080"
    ):
        getattr(model, method)(images, *targets)
    with pytest.raises(ValueError, match="from nan to nan"):
        getattr(model, method)(np.full((1, 16, 16, 3), np.nan), *targets)


def test_training_arrays_are_checked_too():
    model = small_model()
    model.compile("adam")
    images = noise(1, 16, 16, 3, highest=4080, dtype="uint16")
    targets = np.zeros((1, 16, 16), "uint8")
    with pytest.raises(ValueError, match="uint16 from 0 to 4080"):
        model.fit(images, targets, verbose=0)
    with pytest.raises(ValueError, match="uint16 from 0 to 4080"):
        model.fit(
            images // 16,
            targets,
            validation_data=(images, targets),
            verbose=0,
        )


def test_a_nearly_black_float_file_is_doubted_as_an_array_is(tmp_path):
    image = noise(20, 20, 3, dtype="float32") / 255 * 0.7
    write_image(tmp_path / "a.tif", image)
    with pytest.warns(UserWarning, match="these are black") as caught:
        done = predict_files(
            small_model(), [tmp_path], tmp_path / "found", verbose=False
        )
    # Backends have warnings of their own.
    told = [each.message for each in caught if "black" in str(each.message)]
    assert any("a.tif" in str(each) for each in told)
    assert not done.faults
    assert [row["image"] for row in done.rows] == ["a.tif"]
    assert advised(told[0]) == (0, 1)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (noise(20, 20, 3, dtype="float32") / 64 - 2, (-2, 3)),
        (noise(20, 20, 3, highest=4080, dtype="uint16"), (0, 4095)),
    ],
)
def test_a_file_beyond_the_range_is_a_fault_of_that_file(
    tmp_path, image, expected
):
    write_image(tmp_path / "a.tif", image)
    write_image(tmp_path / "b.png", noise(20, 20, 3))
    done = predict_files(
        small_model(), [tmp_path], tmp_path / "found", verbose=False
    )
    (fault,) = done.faults
    assert "a.tif" in fault
    assert [row["image"] for row in done.rows] == ["b.png"]
    assert advised(fault) == expected
    model = small_model(value_range=expected)
    done = predict_files(
        model, [tmp_path / "a.tif"], tmp_path / "again", verbose=False
    )
    assert not done.faults


def test_nodata_within_the_range_is_no_excuse(tmp_path):
    image = noise(20, 20, 3, highest=4080, dtype="uint16")
    tag = (42113, 2, 0, "0", True)
    write_data(
        tmp_path, [image], photometric="rgb", extratags=[tag], metadata=None
    )
    with pytest.raises(ValueError, match="from 0 to 4080") as error:
        load(tmp_path)
    assert advised(error.value) == (0, 4095)
