"""Slides and images of microscopes, opened at a level and read in windows."""

import json
import re

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from image_files import noise
from maps import write_map
from slides import halved, write_ome_tiff, write_ome_zarr

from keras_patching import data
from keras_patching.data import OpenedImage, read_image
from keras_patching.data.images.pixel_size import PixelSize

IMAGE = noise(70, 50, 3)
LEVELS = halved(IMAGE, 3)
HALF_MICROMETRE = PixelSize(0.5, 0.5, "µm")


_opened = []


def open_image(*args, **kwargs):
    """Open an image that is closed when the test ends."""
    _opened.append(data.open_image(*args, **kwargs))
    return _opened[-1]


@pytest.fixture(autouse=True)
def _leave_nothing_open():
    yield
    while _opened:
        _opened.pop().close()


def channels_first(levels):
    return [np.moveaxis(level, -1, 0) for level in levels]


def write_slide(folder, version):
    if version == "tif":
        write_ome_tiff(folder / "a.ome.tif", [LEVELS], (0.25, 0.25))
        return folder / "a.ome.tif"
    return write_ome_zarr(
        folder / "a.ome.zarr",
        channels_first(LEVELS),
        version=version,
        scale=[1, 0.25, 0.25],
        chunks=(1, 16, 16),
    )


@pytest.fixture(params=["tif", "0.4", "0.5"])
def slide(tmp_path, request):
    return write_slide(tmp_path, request.param)


@pytest.fixture(params=["0.4", "0.5"])
def ome_zarr(tmp_path, request):
    return write_slide(tmp_path, request.param)


# --- levels ---


@pytest.mark.parametrize("level", [0, 1, 2])
def test_each_level_is_read_as_it_is_stored(slide, level):
    with open_image(slide, level) as image:
        np.testing.assert_array_equal(image, LEVELS[level])
        np.testing.assert_array_equal(read_image(image), LEVELS[level])
        assert read_image(image, "grayscale").shape[2] == 1
        assert image.levels == ((70, 50), (35, 25), (18, 13))
        assert image.downsample == (2**level, 2**level)
        side = 0.25 * 2**level
        assert image.pixel_size == PixelSize(side, side, "µm")


def test_the_largest_level_is_what_read_image_reads(slide):
    with open_image(slide) as image:
        np.testing.assert_array_equal(image, read_image(slide))
    np.testing.assert_array_equal(read_image(slide), IMAGE)


@pytest.mark.parametrize(
    ("wanted", "level"), [(0.25, 0), (0.4, 0), (0.5, 1), (0.502, 1), (9, 2)]
)
def test_a_pixel_size_takes_the_coarsest_level_as_fine(slide, wanted, level):
    with open_image(slide, pixel_size=wanted) as image:
        assert image.level == level


def test_which_level_is_taken_is_said_where_it_is_finer(slide, capsys):
    open_image(slide, pixel_size=0.5).close()
    assert capsys.readouterr().out == ""
    for _ in range(2):
        open_image(slide, pixel_size=0.6).close()
    said = capsys.readouterr().out
    assert said.count("read at level 1, 0.5 µm a pixel") == 1


def test_pixels_finer_than_there_are_are_refused(slide):
    with pytest.raises(ValueError, match=r"0\.25 µm long, longer than"):
        open_image(slide, pixel_size=0.1)


def test_a_level_that_is_not_there_is_refused_with_those_that_are(slide):
    with pytest.raises(ValueError, match="has 3 levels, 0: 70 x 50, 1: 35"):
        open_image(slide, 3)


def test_a_photo_is_an_image_of_one_level(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE)
    np.save(tmp_path / "a.npy", IMAGE)
    for name in "a.tif", "a.npy":
        with open_image(tmp_path / name) as image:
            np.testing.assert_array_equal(image, IMAGE)
            assert image.levels == ((70, 50),)
        with pytest.raises(ValueError, match=r"has 1 level, 0: 70 x 50\."):
            open_image(tmp_path / name, 1)
        with pytest.raises(ValueError, match="does not say how long a pixel"):
            open_image(tmp_path / name, pixel_size=1)


def test_overviews_of_a_map_are_levels(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        for number, level in enumerate(LEVELS):
            tiff.write(
                level,
                photometric="rgb",
                subfiletype=bool(number),
                tile=(16, 16),
                metadata=None,
            )
    with open_image(tmp_path / "a.tif", 2) as image:
        np.testing.assert_array_equal(image, LEVELS[2])


def test_a_level_of_a_map_has_larger_pixels(tmp_path):
    path = write_map(tmp_path / "a.tif", IMAGE, overviews=[2, 4])
    assert open_image(path).pixel_size == PixelSize(0.5, 0.5, "m")
    with open_image(path, pixel_size=1) as image:
        assert image.level == 1
        assert image.pixel_size == PixelSize(1, 1, "m")
        np.testing.assert_array_equal(image, LEVELS[1])


# --- windows ---


INDICES = st.one_of(
    st.integers(-9, 8),
    st.builds(
        slice,
        st.none() | st.integers(-12, 12),
        st.none() | st.integers(-12, 12),
        st.none() | st.sampled_from([-3, -1, 1, 2, 5]),
    ),
)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small") / "a.ome.zarr"
    array = noise(2, 9, 11)
    write_ome_zarr(folder, [array], chunks=(1, 4, 4))
    return data.open_image(folder), np.moveaxis(array, 0, -1)


@settings(max_examples=60, deadline=None)
@given(st.lists(INDICES, min_size=1, max_size=2))
def test_it_is_sliced_as_an_array_is(small, key):
    image, array = small
    found = image[tuple(key)]
    np.testing.assert_array_equal(found, array[tuple(key)])
    np.testing.assert_array_equal(
        image[(..., *key, 0)] if len(key) == 2 else image[key[0]],
        array[(..., *key, 0)] if len(key) == 2 else array[key[0]],
    )


@pytest.mark.parametrize("name", ["a.zarr", "a.npy", "a.tif", "a.png"])
def test_writing_into_what_was_read_changes_nothing_else(tmp_path, name):
    path = tmp_path / name
    if name == "a.zarr":
        write_ome_zarr(path, channels_first(LEVELS[:1]))
    elif name == "a.npy":
        np.save(path, np.asfortranarray(IMAGE))
    elif name == "a.tif":
        turned = np.rot90(IMAGE)
        tifffile.imwrite(path, turned, extratags=[(274, "H", 1, 6, True)])
    else:
        data.write_image(path, IMAGE)
    with open_image(path) as image:
        for pixels in image[:20], np.asarray(image), np.array(image):
            if pixels.flags.writeable:
                pixels[...] = 0
        assert pixels.flags.writeable
        np.testing.assert_array_equal(image, IMAGE)


def test_windows_that_share_chunks_are_exact(ome_zarr):
    with open_image(ome_zarr) as image:
        for y, height, x, width in [
            (0, 20, 0, 50), (20, 20, 0, 50), (40, 30, 0, 50), (3, 9, 5, 30)
        ]:  # fmt: skip
            np.testing.assert_array_equal(
                image.read(y, height, x, width),
                IMAGE[y : y + height, x : x + width],
            )


def test_only_the_chunks_of_a_window_are_read(ome_zarr):
    first = r"0/(c/)?[012][./]0[./]0|.*/(zarr\.json|\.z.*)"
    for path in (ome_zarr / "0").rglob("*"):
        name = path.relative_to(ome_zarr).as_posix()
        if path.is_file() and not re.fullmatch(first, name):
            path.write_bytes(b"damaged")
    with open_image(ome_zarr) as image:
        np.testing.assert_array_equal(image[:16, :16], IMAGE[:16, :16])
        with pytest.raises(ValueError, match=r"a\.ome\.zarr: truncated or dam"):
            image[30:40, 30:40]


def test_what_is_closed_is_not_read(slide):
    image = open_image(slide)
    image.close()
    image.close()
    with pytest.raises(ValueError, match="is closed"):
        image[:1]


# --- series, planes, channels ---


def test_one_of_several_images_of_a_tiff_is_named(tmp_path):
    path = tmp_path / "a.ome.tif"
    others = halved(IMAGE[:40], 2)
    write_ome_tiff(path, [LEVELS, others], (1, 1), photometric="rgb")
    for series in 1, "image 1":
        with open_image(path, 1, series=series) as image:
            np.testing.assert_array_equal(image, others[1])
            assert image.series == "image 1"
    with pytest.raises(ValueError, match="Say which of them is meant"):
        open_image(path)
    with pytest.raises(ValueError, match=r"no image 'b'\. Expected one of"):
        open_image(path, series="b")


def test_planes_and_times_are_chosen(tmp_path):
    stack = noise(2, 3, 4, 20, 30, dtype="uint16")
    write_ome_zarr(tmp_path / "a.zarr", [stack], axes="tczyx")
    tifffile.imwrite(
        tmp_path / "a.tif", stack, ome=True, metadata={"axes": "TCZYX"}
    )
    tifffile.imwrite(
        tmp_path / "b.tif",
        stack.transpose(0, 2, 1, 3, 4),
        ome=True,
        metadata={"axes": "TZCYX"},
    )
    expected = np.moveaxis(stack[1, :, 2], 0, -1)
    for name in "a.zarr", "a.tif", "b.tif":
        with open_image(tmp_path / name, t=1, z=2) as image:
            np.testing.assert_array_equal(image, expected)
        with pytest.raises(ValueError, match=r"has 4 planes|2 pages|24 pages"):
            open_image(tmp_path / name)
        with pytest.raises(ValueError, match="has 2 times"):
            open_image(tmp_path / name, z=0)
        with pytest.raises(ValueError, match="expected `z` from 0 to 3"):
            open_image(tmp_path / name, t=0, z=4)


def test_planes_that_are_named_alike_are_refused(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(2, 3, 20, 30), photometric="minisblack")
    with pytest.raises(ValueError, match="not known which are planes"):
        open_image(path, z=1)


def test_a_level_of_fewer_planes_is_refused(tmp_path):
    stack = noise(4, 20, 30)
    path = write_ome_zarr(
        tmp_path / "a.zarr", [stack, stack[::2, ::2, ::2]], axes="zyx"
    )
    with open_image(path, z=1) as image:
        np.testing.assert_array_equal(image[..., 0], stack[1])
    with pytest.raises(ValueError, match="2 along z at level 1 and 4 at level"):
        open_image(path, 1, z=1)


@pytest.mark.parametrize("axes", ["yx", "cyx", "zyx", "tcyx", "yxc", "xyc"])
def test_any_axes_come_out_with_channels_last(tmp_path, axes):
    lengths = {"t": 1, "c": 2, "z": 1, "y": 9, "x": 7}
    array = noise(*(lengths[axis] for axis in axes))
    write_ome_zarr(tmp_path / "a.zarr", [array], axes=axes)
    kept = [axis for axis in axes if axis in "cyx"]
    expected = array.reshape([lengths[axis] for axis in kept])
    expected = expected.transpose([kept.index(a) for a in "yxc" if a in kept])
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.zarr"), expected.reshape(9, 7, -1)
    )


def test_version_0_1_names_no_axes(tmp_path):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    array = noise(1, 3, 1, 9, 7)
    group.create_array("0", data=array)
    group.attrs["multiscales"] = [
        {"version": "0.1", "datasets": [{"path": "0"}]}
    ]
    with open_image(tmp_path / "a.zarr") as image:
        np.testing.assert_array_equal(image, np.moveaxis(array[0, :, 0], 0, -1))
        assert image.pixel_size is None


def test_an_image_of_a_plate_is_named_by_its_path(tmp_path):
    plate = tmp_path / "plate.zarr"
    group = zarr.open_group(str(plate), mode="w", zarr_format=2)
    group.attrs["plate"] = {"wells": [{"path": "A/1"}, {"path": "B/2"}]}
    arrays = {"A": noise(1, 9, 7), "B": noise(1, 9, 7) // 2}
    for well in "A/1", "B/2":
        inner = group.create_group(well)
        inner.attrs["well"] = {"images": [{"path": "0"}]}
        write_ome_zarr(plate / well / "0", [arrays[well[0]]])
    for image in (
        open_image(plate, series="B/2/0"),
        open_image(plate, series=1),
        open_image(plate / "B/2/0"),
    ):
        np.testing.assert_array_equal(image, arrays["B"].transpose(1, 2, 0))
    assert open_image(plate / "B/2/0").stem == "plate_B_2_0"
    with pytest.raises(ValueError, match="holds 2 images, 0: 'A/1/0', 1: 'B/2"):
        open_image(plate)


def test_images_that_bioformats_wrote_are_numbered(tmp_path):
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    arrays = [noise(1, 9, 7), noise(1, 9, 7) // 2]
    for number, array in enumerate(arrays):
        write_ome_zarr(tmp_path / "a.zarr" / str(number), [array])
    with open_image(tmp_path / "a.zarr", series="1") as image:
        np.testing.assert_array_equal(image, arrays[1].transpose(1, 2, 0))


def test_channels_of_several_files_lie_behind_each_other(tmp_path):
    paths = [tmp_path / f"a_C{i}.ome.tif" for i in range(3)]
    for i, path in enumerate(paths):
        write_ome_tiff(path, [halved(IMAGE[..., i : i + 1], 2)], (0.5, 0.5))
    with open_image(paths) as image:
        np.testing.assert_array_equal(image, IMAGE)
        assert image.pixel_size == HALF_MICROMETRE
        assert image.stem == "a_C0.ome"
    with open_image(paths[::-1], 1) as image:
        np.testing.assert_array_equal(image, IMAGE[::2, ::2, ::-1])
    write_ome_tiff(paths[0], [[IMAGE[:9, :9, :1]]])
    with pytest.raises(ValueError, match=r"a_C1\.ome\.tif: has 70 x 50 pixels"):
        open_image(paths)


def test_an_image_of_a_tiff_and_a_zarr_is_opened_again(tmp_path):
    paths = tmp_path / "a.tif", tmp_path / "a.zarr"
    nodata = [(42113, "s", 2, "0", True)]
    tifffile.imwrite(paths[0], IMAGE[..., 0], extratags=nodata)
    write_ome_zarr(paths[1], [IMAGE[..., 1]], axes="yx")
    with open_image(paths) as image:
        again = image.windows.again()
        np.testing.assert_array_equal(again.read(0, 70, 0, 50), IMAGE[..., :2])
        assert again.known(0, 70, 0, 50).all()
        again.close()


def test_channels_of_several_files_have_the_names_of_all(tmp_path):
    paths = [tmp_path / f"{name}.zarr" for name in ("DAPI", "GFP")]
    for path in paths:
        write_ome_zarr(
            path,
            channels_first([IMAGE[..., :1]]),
            omero={"channels": [{"label": path.stem}]},
        )
    with open_image(paths) as image:
        assert image.channel_names == ("DAPI", "GFP")


def test_names_of_channels_are_told(tmp_path):
    labels = [{"label": name} for name in ("DAPI", "GFP", "RFP")]
    write_ome_zarr(
        tmp_path / "a.zarr", channels_first(LEVELS), omero={"channels": labels}
    )
    tifffile.imwrite(
        tmp_path / "a.ome.tif",
        np.moveaxis(IMAGE, -1, 0),
        photometric="minisblack",
        metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "GFP", "RFP"]}},
    )
    for name in "a.zarr", "a.ome.tif":
        with open_image(tmp_path / name) as image:
            assert image.channel_names == ("DAPI", "GFP", "RFP")


# --- slides of Aperio, sizes of pixels ---


@pytest.fixture
def aperio(tmp_path):
    path = tmp_path / "a.svs"
    with tifffile.TiffWriter(path) as tiff:
        options = {"photometric": "rgb", "metadata": None}
        text = "Aperio Image Library v1\n70x50|AppMag = 20|MPP = 0.4990|Top = 1"
        tiff.write(IMAGE, tile=(16, 16), description=text, **options)
        tiff.write(IMAGE[::8, ::8], description="thumb", **options)
        tiff.write(IMAGE[::4, ::4], tile=(16, 16), **options)
        tiff.write(IMAGE[:9, :9], subfiletype=1, **options)
        tiff.write(IMAGE[:8, :9], subfiletype=9, **options)
    return path


def test_the_levels_of_a_slide_of_aperio_are_read(aperio):
    np.testing.assert_array_equal(read_image(aperio), IMAGE)
    with open_image(aperio, 1) as image:
        np.testing.assert_array_equal(image, IMAGE[::4, ::4])
        assert image.downsample == (4, 4)
        assert image.pixel_size == PixelSize(1.996, 1.996, "µm")
    with open_image(aperio, series="Label") as image:
        np.testing.assert_array_equal(image, IMAGE[:9, :9])


@pytest.mark.parametrize(
    ("unit", "length"), [("µm", 0.5), ("nm", 500), ("mm", 5e-4), ("m", 5e-7)]
)
def test_units_of_ome_become_micrometres(tmp_path, unit, length):
    path = tmp_path / "a.ome.tif"
    write_ome_tiff(path, [[IMAGE]], (length, length), unit)
    found = open_image(path).pixel_size
    assert found.unit == "µm"
    assert found.height == pytest.approx(0.5)


@pytest.mark.parametrize("unit", ["pixel", "reference frame", "second", None])
def test_what_is_no_unit_of_length_is_no_size(tmp_path, unit):
    write_ome_zarr(
        tmp_path / "a.zarr", [IMAGE], axes="yxc", scale=[2, 2, 1], unit=unit
    )
    assert open_image(tmp_path / "a.zarr").pixel_size is None


def test_imagej_tells_the_size_of_pixels_by_its_unit(tmp_path):
    for unit, expected in (("micron", 0.5), ("pixel", None)):
        tifffile.imwrite(
            tmp_path / "a.tif",
            IMAGE[..., 0],
            imagej=True,
            resolution=(2, 2),
            metadata={"unit": unit},
        )
        found = open_image(tmp_path / "a.tif").pixel_size
        assert (found and found.height) == expected


def test_resolution_for_printing_is_no_size(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", IMAGE, resolution=(300, 300), resolutionunit="INCH"
    )
    assert open_image(tmp_path / "a.tif").pixel_size is None


# --- what is no such image ---


@pytest.mark.parametrize(
    "wrong", [{"level": -1}, {"level": 0.5}, {"z": -1}, {"series": 1.0},
              {"pixel_size": 0}, {"level": 1, "pixel_size": 1}],
)  # fmt: skip
def test_choices_that_mean_nothing_are_refused(slide, wrong):
    with pytest.raises(ValueError, match="Received"):
        open_image(slide, **wrong)


def test_a_folder_of_other_things_is_refused(tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        open_image(tmp_path)
    zarr.save_array(str(tmp_path / "a.zarr"), IMAGE)
    with pytest.raises(ValueError, match="a zarr without images of OME"):
        open_image(tmp_path / "a.zarr")
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "b.zarr")


@pytest.mark.parametrize("path", ["../b/0", "/etc", "..", "a//b", 3])
def test_paths_that_lead_out_of_a_zarr_are_refused(tmp_path, path):
    folder = write_ome_zarr(tmp_path / "a.zarr", [IMAGE], axes="yxc")
    group = zarr.open_group(str(folder))
    multiscale = group.attrs["multiscales"][0]
    multiscale["datasets"][0]["path"] = path
    group.attrs["multiscales"] = [multiscale]
    with pytest.raises(ValueError, match=r"a\.zarr: .*(inside of it|out of)"):
        open_image(folder)


NAMES = [
    "axes",
    "datasets",
    "path",
    "name",
    "type",
    "scale",
    "wells",
    "images",
    "channels",
]
NAMES += ["coordinateTransformations", "label"]
JSON = st.recursive(
    st.none() | st.integers(-2, 9) | st.sampled_from(["0", "y", "x", "c", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(NAMES),
            inner,
            max_size=4,
        )
    ),
    max_leaves=9,
)
KEYS = "multiscales", "plate", "labels", "omero", "bioformats2raw.layout", "ome"


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.dictionaries(st.sampled_from(KEYS), JSON, min_size=1), st.booleans())
def test_whatever_a_zarr_says_gives_an_image_or_an_error(
    tmp_path, attributes, is_inside
):
    folder = tmp_path / "a.zarr"
    if not folder.exists():
        write_ome_zarr(folder, [IMAGE], axes="yxc")
        (folder / "saved").write_bytes((folder / ".zattrs").read_bytes())
    known = json.loads((folder / "saved").read_bytes())
    if is_inside:
        known["multiscales"][0] |= {
            key: value
            for each in attributes.values()
            if isinstance(each, dict)
            for key, value in each.items()
        }
    else:
        known |= attributes
    (folder / ".zattrs").write_text(json.dumps(known))
    found, told = None, ""
    try:
        found = np.asarray(open_image(folder))
    except ValueError as error:
        told = str(error)
    assert "a.zarr" in told if found is None else found.size == IMAGE.size


def test_a_zarr_that_changes_meanwhile_is_told(ome_zarr):
    image = open_image(ome_zarr)
    assert isinstance(image, OpenedImage)
    before = image.identity
    write_ome_zarr(ome_zarr, [noise(3, 70, 50) // 2])
    with pytest.raises(ValueError, match=r"changed|damaged"):
        image[:4]
    assert open_image(ome_zarr).identity != before
