"""Whole images are scaled by all of their pixels, whoever reads them."""

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise

from keras_patching.data.images.image_io import write_image
from keras_patching.data.images.normalization import (
    check_normalization,
    sampled_windows,
)
from keras_patching.data.images.preparation import (
    Preparation,
    decode_prepared,
    prepare_array,
    read_prepared,
)
from keras_patching.prediction.sources import open_source

RANGES = {"percentile": (0, 255), "zscore": (-3, 3)}
BOTH = pytest.mark.parametrize("normalize", RANGES)


def prepared(image, normalize):
    how = Preparation(None, RANGES[normalize], normalize)
    return prepare_array(image, "the test", how)


def write_tiff(path, image, **options):
    tifffile.imwrite(path, image, photometric="rgb", **options)


def reference(image, normalize):
    """Normalize float64 channels that have no NaN and are not all alike."""
    image = image.astype("float64")
    if normalize == "zscore":
        return (image - image.mean((0, 1))) / image.std((0, 1))
    low, high = np.percentile(image, (1, 99.8), axis=(0, 1))
    sparse = low == high
    low = np.where(sparse, image.min((0, 1)), low)
    high = np.where(sparse, image.max((0, 1)), high)
    return 255 * (image - low) / (high - low)


@BOTH
@settings(max_examples=60)
@given(data=st.data())
def test_every_channel_is_scaled_as_ten_lines_of_numpy_do(normalize, data):
    shape = data.draw(st.tuples(*3 * [st.integers(1, 12)]))
    dtype = data.draw(st.sampled_from(["uint8", "uint16", "int16", "float32"]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    lowest = data.draw(st.sampled_from([1, 100]))
    spread = data.draw(
        st.sampled_from([1, 27, 30000 if dtype[-1] != "8" else 9])
    )
    image = (lowest + spread * rng.random(shape)).astype(dtype)
    if "float" in dtype:
        image += data.draw(st.sampled_from([0, -0.5, 1000]))
    image[0, 0] += 1  # No channel is all alike.
    image = np.concatenate([image, image - image.dtype.type(1)])
    found, expected = prepared(image, normalize), reference(image, normalize)
    assert found.dtype == "float32"
    np.testing.assert_allclose(found, expected, 1e-4, 2e-3)


@BOTH
def test_channels_of_other_ranges_come_out_alike(normalize):
    image = noise(30, 40, 1, dtype="uint16") % 256
    image = np.concatenate([image, 16 * image + 7, 100 * image], axis=-1)
    found = prepared(image, normalize)
    np.testing.assert_allclose(found[..., 1], found[..., 0], atol=2e-4)
    np.testing.assert_allclose(found[..., 2], found[..., 0], atol=2e-4)


def test_percentiles_are_black_and_white_and_nothing_is_clipped():
    image = np.arange(1001, dtype="uint16").reshape(7, 143, 1)
    (found,) = prepared(image, "percentile").reshape(1, -1)
    assert found[10] == 0
    assert found[998] == 255
    assert found[0] < 0
    assert found[1000] > 255


@BOTH
@pytest.mark.parametrize("value", [0, 7, 0.1, 1e9])
def test_an_image_that_is_all_alike_becomes_black_or_the_mean(normalize, value):
    image = np.full((9, 8, 2), value, "float32")
    assert not prepared(image, normalize).any()


def test_a_few_bright_specks_on_nothing_are_white():
    image = np.zeros((100, 100, 1), "uint16")
    image[50, 50:53] = 900
    found = prepared(image, "percentile")
    assert np.unique(found).tolist() == [0, 255]


@BOTH
def test_what_is_no_pixel_does_not_count_and_becomes_black(normalize, tmp_path):
    image = noise(20, 30, 3, dtype="float32")
    expected = prepared(image[:, :20], normalize)
    black = RANGES[normalize][0]
    for hole, options in (
        (np.nan, {}),
        (np.inf, {}),
        (-9999, {"extratags": [(42113, "s", 0, "-9999", True)]}),
    ):
        image[:, 20:] = hole
        write_tiff(tmp_path / "a.tif", image, **options)
        how = Preparation(3, RANGES[normalize], normalize)
        found = read_prepared(tmp_path / "a.tif", how)
        np.testing.assert_array_equal(found[:, :20], expected)
        assert (found[:, 20:] == black).all()


@BOTH
@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_no_data_of_64_bits_is_told_exactly(normalize, dtype, tmp_path):
    image = noise(20, 30, 3).astype(dtype)
    expected = prepared(image[:, :20], normalize)
    highest = np.iinfo(dtype).max
    image[:, 20:] = highest
    tags = [(42113, "s", 0, str(highest), True)]
    write_tiff(tmp_path / "a.tif", image, extratags=tags)
    how = Preparation(3, RANGES[normalize], normalize)
    found = read_prepared(tmp_path / "a.tif", how)
    np.testing.assert_array_equal(found[:, :20], expected)
    assert (found[:, 20:] == RANGES[normalize][0]).all()


@BOTH
def test_no_data_of_a_turned_image_does_not_count(normalize, tmp_path):
    image = noise(20, 30, 3).astype("int16")
    image[:8] = -9999
    tags = [(274, "H", 1, 6, True), (42113, "s", 0, "-9999", True)]
    write_tiff(tmp_path / "a.tif", image, extratags=tags)
    how = {"value_range": RANGES[normalize], "normalize": normalize}
    source = open_source(tmp_path / "a.tif", 0, **how)
    found = source.read(0, 30)
    source.close()
    upright = np.rot90(image, -1)
    expected = prepared(upright[:, :12], normalize)
    np.testing.assert_array_equal(found[:, :12], expected)
    assert (found[:, 12:] == RANGES[normalize][0]).all()


@BOTH
def test_transparent_pixels_do_not_count(normalize, tmp_path):
    image = noise(20, 30, 4)
    image[..., 3] = 255
    image[5:, 20:] = 250, 250, 250, 0
    write_image(tmp_path / "a.png", image)
    how = Preparation(3, RANGES[normalize], normalize)
    found = read_prepared(tmp_path / "a.png", how)
    seen = image[..., 3] > 0
    values = image[seen][:, None, :3]
    np.testing.assert_array_equal(
        found[seen], prepared(values, normalize)[:, 0]
    )
    assert (found[~seen] == RANGES[normalize][0]).all()


@BOTH
def test_grey_of_colour_is_scaled_as_grey(normalize, tmp_path):
    write_image(tmp_path / "a.png", noise(20, 30, 3))
    grey = read_prepared(tmp_path / "a.png", Preparation("grayscale", (0, 255)))
    how = Preparation("grayscale", RANGES[normalize], normalize)
    found = read_prepared(tmp_path / "a.png", how)
    np.testing.assert_array_equal(found, prepared(grey, normalize))


# Samples of large images


SHAPES = st.tuples(
    st.integers(1, 200_000), st.integers(1, 200_000), st.integers(1, 300)
)


@settings(max_examples=300)
@given(SHAPES)
def test_what_is_looked_at_is_bounded_and_inside_and_all_over(shape):
    height, width, channels = shape
    windows = sampled_windows(shape)
    if height * width * max(channels, 4) <= 2**24:
        assert windows == [(0, height, 0, width)]
        return
    assert len(set(windows)) == len(windows) <= 256
    for y, rows, x, columns in windows:
        assert 0 <= y < y + rows <= height
        assert 0 <= x < x + columns <= width
    looked_at = sum(rows * columns for _, rows, _, columns in windows)
    assert looked_at <= max(2**24 // max(channels, 4), 16 * 128**2)
    # In each direction no gap is wider than twice that between windows.
    for axis, length in ((0, height), (2, width)):
        starts = sorted({window[axis] for window in windows})
        gaps = np.diff([0, *starts, length])
        assert max(gaps) <= 2 * max(128, length / len(starts))


@BOTH
def test_a_large_image_is_judged_by_all_of_its_regions(normalize, tmp_path):
    height, width = 2300, 2400
    across = np.linspace(0, 200, width, dtype="float32")
    down = np.linspace(0, 40, height, dtype="float32")
    image = (across + down[:, None]).astype("uint8")[..., None]
    np.save(tmp_path / "a.npy", image)
    looked_at = []
    how = {"value_range": RANGES[normalize], "normalize": normalize}
    source = open_source(tmp_path / "a.npy", 0, **how)
    source.watch(lambda window, y, x: looked_at.append(window.size))
    found = source.read(0, 64)
    source.close()
    assert sum(looked_at) - found.size <= 2**22
    expected = reference(image, normalize)[:64]
    span = np.ptp(RANGES[normalize])
    np.testing.assert_allclose(found, expected, atol=0.02 * span)


# The same numbers, whoever reads it


@pytest.mark.parametrize(
    ("normalize", "size"),
    [
        ("percentile", (70, 90)),
        ("zscore", (70, 90)),
        # Of which a sample is looked at.
        ("percentile", (4200, 1000)),
    ],
)
def test_all_that_reads_an_image_gives_the_very_same(normalize, size, tmp_path):
    image = np.zeros((*size, 1), "uint16")
    image[::3, 5::7] = noise(*image[::3, 5::7].shape)
    image += np.arange(size[1], dtype="uint16")[:, None]
    how = {"channels": 1, "value_range": RANGES[normalize]}
    how["normalize"] = normalize
    write_image(tmp_path / "whole.png", image)
    np.save(tmp_path / "rows.npy", image)
    tile = (64, 64) if size[0] < 100 else (512, 512)
    tifffile.imwrite(tmp_path / "tiles.tif", image[..., 0], tile=tile)
    tifffile.imwrite(tmp_path / "strips.tif", image[..., 0], rowsperstrip=9)
    expected = prepared(image, normalize)
    data = (tmp_path / "whole.png").read_bytes()
    trained_on = decode_prepared(data, "a.png", Preparation(**how))
    np.testing.assert_array_equal(trained_on, expected)
    sources = [
        *tmp_path.iterdir(),
        np.load(tmp_path / "rows.npy", mmap_mode="r"),
        _Sliced(image),
    ]
    for each in sources:
        source = open_source(each, 0, **how)
        bands = [source.read(0, 50), source.read(50, size[0] - 50)]
        source.close()
        np.testing.assert_array_equal(np.concatenate(bands), expected)


class _Sliced:
    """What is sliced like an array, as of zarr and h5py."""

    def __init__(self, array):
        self._array, self.shape, self.dtype = array, array.shape, array.dtype

    def __getitem__(self, index):
        return self._array[index]


@BOTH
def test_rasterio_data_sets_are_read_alike(normalize, tmp_path):
    rasterio = pytest.importorskip("rasterio")
    image = noise(50, 60, 3, dtype="uint16")
    write_tiff(tmp_path / "a.tif", image)
    how = {"value_range": RANGES[normalize], "normalize": normalize}
    with pytest.warns(rasterio.errors.NotGeoreferencedWarning):
        data_set = rasterio.open(tmp_path / "a.tif")
    with data_set:
        found = open_source(data_set, 0, **how).read(10, 20, 5, 30)
    expected = prepared(image, normalize)[10:30, 5:35]
    np.testing.assert_array_equal(found, expected)


# Arguments


def test_scores_have_a_range_of_their_own():
    for given_range in ((0, 255), (-3, 3)):
        assert check_normalization("zscore", given_range) == [-3, 3]
    with pytest.raises(ValueError, match=r"leave it out.*\(0\.0, 1\.0\)"):
        check_normalization("zscore", (0, 1))
    assert check_normalization("percentile", (0, 1)) == [0, 1]
    with pytest.raises(ValueError, match=r"`normalize` must be.*'minmax'"):
        check_normalization("minmax", (0, 255))
