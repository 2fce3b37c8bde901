"""Windows are what the whole image holds there, and cost no more than that."""

import json
import os
import tracemalloc
import warnings
import zlib

import keras
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise
from maps import write_map
from PIL import Image

import keras_patching as kp
from keras_patching.data.images import tiff_compressions
from keras_patching.data.images.npy_format import encode_npy_header
from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.prediction import sources

_opened = []


@pytest.fixture(autouse=True)
def _closed():
    yield
    while _opened:
        _opened.pop().close()


def open_source(*arguments, **options):
    _opened.append(sources.open_source(*arguments, **options))
    return _opened[-1]


rasterio = pytest.importorskip("rasterio")
pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning"
)

HEIGHT, WIDTH = 45, 52
RGB = HEIGHT, WIDTH, 3


def gdal(path, array, **options):
    """Write `(height, width, bands)` with GDAL, in tiles of 16."""
    height, width, count = array.shape
    options = {"tiled": 1, "blockxsize": 16, "blockysize": 16, **options}
    with rasterio.open(
        path, "w", "GTiff", width, height, count, dtype=array.dtype, **options
    ) as file:
        file.write(np.moveaxis(array, -1, 0))


def sparse_gdal(path, array):
    """Only the first tiles are there; the others hold the nodata value."""
    height, width, count = array.shape
    options = {"tiled": 1, "blockxsize": 16, "blockysize": 16, "nodata": 7}
    with rasterio.open(
        path,
        "w",
        "GTiff",
        width,
        height,
        count,
        dtype=array.dtype,
        sparse_ok=True,
        **options,
    ) as file:
        window = rasterio.windows.Window(0, 0, 32, 16)
        file.write(np.moveaxis(array[:16, :32], -1, 0), window=window)


def tiff(path, array, **options):
    tifffile.imwrite(path, array, **options)


def planes(path, array, **options):
    """Write a TIFF whose channels lie behind each other."""
    tiff(path, np.moveaxis(array, -1, 0).copy(), **options)


def palette(path, array):
    image = Image.fromarray(array, "RGB").convert("P")
    image.save(path, compression="tiff_lzw")


def pillow(mode):
    def save(path, array):
        image = Image.fromarray(array, "RGB").convert(mode)
        image.save(path, compression="packbits")

    return save


def bits(path, array):
    tiff(path, array[..., 0] > 99, photometric="miniswhite", rowsperstrip=5)


def turned(path, array):
    image = Image.fromarray(array, "RGB")
    exif = image.getexif()
    exif[274] = 6
    image.save(path, exif=exif)


def save_npy(dtype, order="C"):
    def save(path, array):
        np.save(path, np.asarray(array, dtype, order=order))

    return save


# What is written of noise by suffix, function and options.
FILES = {
    "npy": (".npy", save_npy("uint8"), {}),
    "npy in the other byte order": (".npy", save_npy(">u2"), {}),
    "npy of truth": (".npy", save_npy("bool"), {}),
    "npy by columns": (".npy", save_npy("uint8", "F"), {}),
    "strips": (".tif", tiff, {"rowsperstrip": 7}),
    "deflated strips": (".tif", tiff, {"rowsperstrip": 7, "compression": 8}),
    "rows with differences": (
        ".tif",
        tiff,
        {"rowsperstrip": 1, "compression": 8, "predictor": 2},
    ),
    "planes of strips": (
        ".tif",
        planes,
        {
            "rowsperstrip": 6,
            "compression": 8,
            "planarconfig": "separate",
            "photometric": "rgb",
        },
    ),
    "tiles": (".tif", gdal, {}),
    "tiles by LZW": (".tif", gdal, {"compress": "LZW", "predictor": 2}),
    "planes of tiles": (
        ".tif",
        gdal,
        {"compress": "DEFLATE", "interleave": "BAND"},
    ),
    "tiles of JPEG": (
        ".tif",
        gdal,
        {"compress": "JPEG", "photometric": "YCBCR", "interleave": "PIXEL"},
    ),
    "tiles left out": (".tif", sparse_gdal, {}),
    "16 bits in the other byte order": (
        ".tif",
        lambda path, array: tiff(
            path, array.astype("uint16") * 99, byteorder=">", compression=8
        ),
        {},
    ),
    "floats with differences": (
        ".tif",
        lambda path, array, **options: gdal(
            path, array.astype("float32"), **options
        ),
        {"compress": "DEFLATE", "predictor": 3},
    ),
    "grey": (".tif", pillow("L"), {}),
    "CMYK": (".tif", pillow("CMYK"), {}),
    "palette": (".tif", palette, {}),
    "bits with white as zero": (".tif", bits, {}),
    "channels on pages": (
        ".ome.tif",
        planes,
        {
            "compression": 8,
            "rowsperstrip": 9,
            "photometric": "minisblack",
            "metadata": {"axes": "CYX"},
        },
    ),
    "channels behind each other": (
        ".tif",
        lambda path, array: tiff(
            path,
            np.moveaxis(array, -1, 0).copy(),
            imagej=True,
            metadata={"axes": "CYX"},
        ),
        {},
    ),
    "a turned TIFF": (".tif", turned, {}),
    "a turned JPEG": (".jpg", turned, {}),
    "PNG": (".png", kp.data.write_image, {}),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    paths = {}
    for index, (kind, (suffix, write, options)) in enumerate(FILES.items()):
        paths[kind] = folder / f"{index}{suffix}"
        write(paths[kind], noise(*RGB), **options)
    return paths


def windows_of(shape):
    def span(length):
        return st.tuples(
            st.integers(0, length - 1), st.integers(1, length)
        ).map(lambda pair: (pair[0], min(pair[1], length - pair[0])))

    return st.tuples(span(shape[0]), span(shape[1]))


def assert_reads(source, image, windows):
    assert source.shape == image.shape
    assert source.dtype == image.dtype
    for (y, height), (x, width) in windows:
        found = source.read(y, height, x, width)
        expected = image[y : y + height, x : x + width]
        np.testing.assert_array_equal(found, expected)
        assert found.dtype == image.dtype
    source.close()


def as_a_net_sees_it(image, kind):
    """What declares no data is black where all channels are that value."""
    if kind == "tiles left out":
        image = np.where((image == 7).all(axis=-1, keepdims=True), 0, image)
        image = image.astype("uint8")
    return image


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=10)
@given(data=st.data())
def test_a_window_of_a_file_is_what_the_whole_image_holds_there(
    files, kind, data
):
    image = as_a_net_sees_it(kp.data.read_image(files[kind]), kind)
    windows = data.draw(st.lists(windows_of(image.shape), min_size=1))
    assert_reads(open_source(files[kind], 0), image, windows)


@pytest.mark.parametrize("kind", FILES)
def test_bands_make_the_whole_image(files, kind):
    image = as_a_net_sees_it(kp.data.read_image(files[kind]), kind)
    source = open_source(str(files[kind]), 0)
    bands = [
        source.read(y, min(10, len(image) - y))
        for y in range(0, len(image), 10)
    ]
    np.testing.assert_array_equal(np.concatenate(bands), image)


@pytest.mark.parametrize(
    ("planar", "rows"), [("contig", 500), ("contig", 200), ("separate", 500)]
)
def test_strips_without_compression_are_read_in_parts(tmp_path, planar, rows):
    image = noise(500, 800, 3)
    stored = image if planar == "contig" else np.moveaxis(image, -1, 0).copy()
    options = {"photometric": "rgb", "planarconfig": planar}
    tiff(tmp_path / "a.tif", stored, rowsperstrip=rows, **options)
    windows = [((y, 90), (x, 500)) for y in (0, 85, 410) for x in (0, 300)]
    assert_reads(open_source(tmp_path / "a.tif", 0), image, windows)


# Objects


class Sliced:
    """What is known of zarr, h5py and dask: shape, dtype and slices."""

    def __init__(self, array):
        self._array, self.asked = array, []
        self.shape, self.dtype = array.shape, array.dtype

    def __getitem__(self, places):
        self.asked.append(places)
        return self._array[places]


@pytest.mark.parametrize("shape", [RGB, (HEIGHT, WIDTH), (HEIGHT, WIDTH, 1)])
@settings(max_examples=10)
@given(data=st.data())
def test_windows_of_what_can_be_sliced_are_asked_for_alone(shape, data):
    image = noise(*shape)
    windows = data.draw(st.lists(windows_of(shape), min_size=1))
    sliced = Sliced(image)
    assert_reads(open_source(sliced, 0), np.atleast_3d(image), windows)
    assert sliced.asked == [
        (slice(y, y + height), slice(x, x + width))
        for (y, height), (x, width) in windows
    ]


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_tensors_and_memory_maps_are_read(tmp_path, dtype):
    image = noise(*RGB, dtype=dtype)
    np.save(tmp_path / "a.npy", image)
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    windows = [((3, 9), (5, 7)), ((0, HEIGHT), (0, WIDTH))]
    for array in (image, mapped, keras.ops.convert_to_tensor(image)):
        assert_reads(open_source(array, 0), image, windows)


def test_data_sets_of_h5py_are_read(tmp_path):
    h5py = pytest.importorskip("h5py")
    image = noise(*RGB)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data_set = file.create_dataset("a", data=image, chunks=(16, 16, 3))
        assert_reads(open_source(data_set, 0), image, [((3, 20), (5, 30))])


def test_arrays_of_zarr_are_read(tmp_path):
    zarr = pytest.importorskip("zarr")
    image = noise(*RGB)
    array = zarr.open(
        str(tmp_path / "a.zarr"),
        mode="w",
        shape=image.shape,
        chunks=(16, 16, 3),
        dtype="uint8",
    )
    array[:] = image
    assert_reads(open_source(array, 0), image, [((3, 20), (5, 30))])


@pytest.mark.parametrize(
    "kind", ["tiles", "floats with differences", "palette"]
)
def test_data_sets_of_rasterio_are_read(files, kind):
    image = kp.data.read_image(files[kind])
    windows = [((3, 20), (5, 30)), ((0, HEIGHT), (0, WIDTH))]
    with rasterio.open(files[kind]) as data_set:
        source = open_source(data_set, 0)
        assert source.stem == files[kind].stem
        assert_reads(source, image, windows)
        assert not data_set.closed


# Channels


def test_grey_is_repeated_and_alpha_dropped_as_in_whole_images(tmp_path):
    for mode in ("L", "LA", "RGBA"):
        for suffix in (".png", ".tif"):
            path = tmp_path / f"{mode}{suffix}"
            Image.fromarray(noise(*RGB), "RGB").convert(mode).save(path)
            image = kp.data.read_image(path, channels=3)
            windows = [((3, 9), (5, 7))]
            assert_reads(open_source(path, 0, channels=3), image, windows)
        with rasterio.open(tmp_path / f"{mode}.tif") as data_set:
            source = open_source(data_set, 0, channels=3)
            assert_reads(source, image, windows)


@pytest.mark.parametrize("suffix", [".tif", ".npy"])
def test_channels_that_cannot_be_converted_are_refused_at_once(
    tmp_path, suffix
):
    path = tmp_path / f"a{suffix}"
    kp.data.write_image(path, noise(*RGB[:2], 5))
    with pytest.raises(ValueError, match=r"a\.\w+: has 5 channels, expected 3"):
        open_source(path, 0, channels=3)


def test_channels_of_arrays_are_not_converted():
    with pytest.raises(ValueError, match="image 4: has 1 channels, expected 3"):
        open_source(noise(*RGB[:2]), 4, channels=3)
    with pytest.raises(ValueError, match="image 4: has 4 channels, expected 3"):
        open_source(noise(*RGB[:2], 4), 4, channels=3)


# Cost


def peak_of_reading(path, *window):
    tracemalloc.start()
    try:
        source = open_source(path, 0)
        tracemalloc.reset_peak()
        before, _ = tracemalloc.get_traced_memory()
        assert not source.read(*window).any()
        _, peak = tracemalloc.get_traced_memory()
        source.close()
    finally:
        tracemalloc.stop()
    return peak - before


def test_a_window_of_a_huge_file_takes_the_memory_of_the_window(tmp_path):
    shape = 40_000, 40_000, 1  # more than the limit of decoding
    header = encode_npy_header(shape, "uint8")
    with open(tmp_path / "a.npy", "wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + 40_000**2)
    tifffile.memmap(tmp_path / "one_strip.tif", shape=shape[:2], dtype="uint8")
    with rasterio.open(
        tmp_path / "tiles.tif",
        "w",
        "GTiff",
        *shape,
        dtype="uint8",
        tiled=1,
        blockxsize=512,
        blockysize=512,
        compress="DEFLATE",
        sparse_ok=True,
    ) as file:
        window = rasterio.windows.Window(0, 0, 40_000, 512)
        file.write(np.zeros((1, 512, 40_000), "uint8"), window=window)
    for name in ("a.npy", "one_strip.tif", "tiles.tif"):
        assert peak_of_reading(tmp_path / name, 0, 50, 7000, 1000) < 4e6, name
        assert peak_of_reading(tmp_path / name, 39_950, 50) < 20e6, name


def test_tiles_are_decoded_once_for_bands_and_for_patches(
    tmp_path, monkeypatch
):
    path, image = tmp_path / "a.tif", noise(96, 80, 3)
    gdal(
        path,
        image,
        compress="DEFLATE",
        interleave="PIXEL",
        blockxsize=32,
        blockysize=32,
    )
    begun = []

    def inflate(*arguments):
        begun.append(1)
        return zlib_decompressobj(*arguments)

    zlib_decompressobj = zlib.decompressobj
    monkeypatch.setattr(tiff_compressions.zlib, "decompressobj", inflate)
    bands = open_source(path, 0)
    for y in range(0, 96 - 16, 8):  # a third of each overlaps the last
        bands.read(y, 24)
    assert len(begun) == 3 * 3
    begun.clear()
    patches = open_source(path, 0)
    for y in range(0, 96, 16):
        for x in range(0, 80, 16):
            patches.read(y, 16, x, 16)
    assert len(begun) == 3 * 3


def test_a_huge_strip_is_refused_before_it_is_inflated(tmp_path, monkeypatch):
    path = tmp_path / "a.tif"
    tiff(path, noise(50, 50), rowsperstrip=50, compression=8)
    monkeypatch.setenv("KERAS_PATCHING_MAX_IMAGE_PIXELS", "600")
    with pytest.raises(ValueError, match=r"a\.tif: has 50 x 50"):
        open_source(path, 0)
    tiff(path, noise(50, 50), rowsperstrip=10, compression=8)
    assert open_source(path, 0).read(0, 50).shape == (50, 50, 1)


# Range


@pytest.mark.parametrize("suffix", [".npy", ".tif", ".png"])
def test_values_out_of_the_range_are_told_as_of_whole_images(tmp_path, suffix):
    image = np.full(RGB[:2], 9, "uint16")
    image[30] = 4000
    path = tmp_path / f"a{suffix}"
    kp.data.write_image(path, image)
    source = open_source(path, 0, value_range=(0, 255))
    source.read(0, 30)
    with pytest.raises(ValueError, match=r"a\.\w+: uint16 .*\(0, 4095\)"):
        source.read(30, 10)
    open_source(path, 0).read(30, 10)


def test_nodata_is_black(tmp_path):
    path = tmp_path / "a.tif"
    image = np.zeros(RGB, "float32")
    image[30] = -9999
    gdal(path, image, nodata=-9999)
    with rasterio.open(path) as data_set:
        for each in (path, data_set):
            source = open_source(each, 0, value_range=(0, 1))
            assert (source.read(0, 45) == 0).all()


def test_values_of_arrays_are_told_as_predict_tells_them():
    source = open_source(noise(*RGB), 2, value_range=(0, 1))
    with pytest.raises(ValueError, match=r"image 2: .*value_range=\(0, 255\)"):
        source.read(0, 5)


def test_images_that_are_black_are_doubted_when_all_is_known():
    dark = np.full(RGB, 0.5, "float32")
    source = open_source(dark, 0, value_range=(0, 255))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source.read(0, 40)
    with pytest.warns(UserWarning, match="image 0: the model .* black"):
        source.read(40, 5)
    dark[3] = 200
    source = open_source(dark, 0, value_range=(0, 255))
    source.read(0, 40)
    source.read(40, 5)


# Names


def test_sources_are_told_apart(tmp_path):
    path = tmp_path / "field.tif"
    tiff(path, noise(*RGB))
    source = open_source(path, 0)
    assert (source.name, source.stem) == (str(path), "field")
    before = json.loads(json.dumps(source.identity))
    assert open_source(str(path), 5).identity == before
    os.utime(path, ns=(1, 1))
    assert open_source(path, 0).identity != before

    source = open_source(noise(*RGB), 3)
    assert (source.name, source.stem) == ("image 3", "image_3")
    assert source.identity is None  # Who knows what it holds next time.


def test_memory_maps_are_told_apart_by_file_and_place(tmp_path):
    path = tmp_path / "field.npy"
    np.save(path, noise(*RGB))
    mapped = np.load(path, mmap_mode="r")
    identity = open_source(mapped, 0).identity
    json.dumps(identity)
    assert open_source(np.load(path, mmap_mode="r"), 1).identity == identity
    assert open_source(mapped[1:], 0).identity != identity
    assert open_source(mapped[:, ::2], 0).identity != identity
    source = open_source(mapped[2:, ::2], 0)
    np.testing.assert_array_equal(source.read(1, 3), mapped[3:6, ::2])


def test_changes_to_a_private_memory_map_are_read(tmp_path):
    path = tmp_path / "field.npy"
    np.save(path, np.zeros((8, 8, 3)))
    mapped = np.load(path, mmap_mode="c")
    mapped[2] = 7
    source = open_source(mapped, 0)
    for _ in range(2):
        assert source.read(2, 1).min() == 7


# Errors


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ([[1, 2]], "image 7: cannot be read.*Received: a list"),
        ({"image": 1}, "image 7: cannot be read.*Received: a dict"),
        (np.zeros((1, 4, 4, 3)), r"image 7: a batch.*`images\[0\]`.*1, 4, 4"),
        (np.zeros(4), r"image 7: expected one image.*shape=\(4,\)"),
        (np.zeros((4, 0, 3)), r"image 7: expected .* not empty"),
        (np.array([["a"]]), "image 7: expected an image of numbers"),
        (np.zeros((4, 4), complex), "image 7: expected an image of numbers"),
    ],
)
def test_what_is_no_image_is_named(source, told):
    with pytest.raises(ValueError, match=told):
        open_source(source, 7)


def test_what_is_no_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"b\.tif: no such file. Pass"):
        open_source(tmp_path / "b.tif", 0)
    with pytest.raises(ValueError, match="is a folder"):
        open_source(str(tmp_path), 0)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe: is not a file"):
        open_source(tmp_path / "pipe", 0)
    (tmp_path / "a.txt").write_text("no image")
    with pytest.raises(ValueError, match="not an image"):
        open_source(tmp_path / "a.txt", 0)


@pytest.mark.parametrize(
    "window", [(0, 46), (-1, 3), (0, 0), (0, 1, 52), (0, 1, 0, 53), (45, 1)]
)
def test_a_window_beyond_the_image_is_refused(window):
    with pytest.raises(ValueError, match="image 0: a window must lie inside"):
        open_source(noise(*RGB), 0).read(*window)


@pytest.mark.parametrize("kind", ["npy", "deflated strips", "tiles", "PNG"])
@pytest.mark.parametrize("change", ["cut", "touched", "gone", "replaced"])
def test_a_file_that_changes_while_it_is_read_is_named(
    files, tmp_path, kind, change
):
    path = tmp_path / files[kind].name
    path.write_bytes(files[kind].read_bytes())
    source = open_source(path, 0)
    source.read(0, 5)
    if change == "cut":
        os.truncate(path, path.stat().st_size // 2)
    elif change == "touched":
        os.utime(path, ns=(1, 1))
    elif change == "gone":
        path.unlink()
    else:
        (tmp_path / "other").write_bytes(b"0")
        os.replace(tmp_path / "other", path)
    with pytest.raises(ValueError, match=f"{path.name}: has changed"):
        source.read(5, 40)


def test_a_data_set_of_rasterio_whose_file_changes_is_named(files, tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(files["tiles"].read_bytes())
    with rasterio.open(path) as data_set:
        source = open_source(data_set, 0)
        os.utime(path, ns=(1, 1))
        with pytest.raises(ValueError, match=r"a\.tif: has changed"):
            source.read(0, 5)


def test_a_file_that_was_cut_off_is_refused_at_once(files, tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(files["npy"].read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"a\.npy: truncated .* expected 7020"):
        open_source(path, 0)


def test_a_damaged_tile_is_named_where_it_is_read(files, tmp_path):
    path = tmp_path / "a.tif"
    content = bytearray(files["deflated strips"].read_bytes())
    with tifffile.TiffFile(files["deflated strips"]) as file:
        content[file.pages[0].dataoffsets[2] + 5] ^= 1
    path.write_bytes(content)
    source = open_source(path, 0)
    source.read(0, 14)
    with pytest.raises(ValueError, match=r"a\.tif: truncated or damaged"):
        source.read(14, 7)
    source.read(21, 7)


@pytest.mark.parametrize("through", ["path", "data set"])
def test_the_size_of_a_pixel_of_a_map_is_known(tmp_path, through):
    path = write_map(tmp_path / "a.tif", noise(20, 30, 3))
    with rasterio.open(path) as data_set:
        source = open_source(path if through == "path" else data_set, 0)
        assert source.pixel_size == PixelSize(0.5, 0.5, "m")
        source.close()
