"""What results are written into, band by band, and runs that were killed."""

import collections
import contextlib
import json
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import pytest
import rasterio
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from image_files import noise

import keras_patching as kp
from keras_patching.data.images.tiff_writing import write_empty_tiff
from keras_patching.prediction import path_target
from keras_patching.prediction.targets import (
    check_outs,
    forget_records,
    list_outs,
    open_target,
)

IMAGE = noise(23, 9, 3)
DTYPES = ["uint8", "uint16", "int32", "float16", "float32", "float64"]
FILES = ["a.npy", "a.tif"]
pytestmark = pytest.mark.filterwarnings(
    "ignore::rasterio.errors.NotGeoreferencedWarning"
)


def open_for(path, array=IMAGE, key="k", resume=True, overwrite=False):
    target = open_target(
        path,
        array.shape,
        array.dtype,
        "a",
        key=key,
        resume=resume,
        overwrite=overwrite,
    )
    _opened.append(target)
    return target


_opened = []


@pytest.fixture(autouse=True)
def _leave_nothing_open():
    yield
    while _opened:
        _opened.pop().abandon()


def write_rows(target, array, start, stop, step=4):
    for y in range(start, stop, step):
        target.write(y, array[y : min(y + step, stop)])


def write_all(path, array=IMAGE, **arguments):
    target = open_for(path, array, **arguments)
    write_rows(target, array, target.rows_done, len(array))
    target.finish()
    return target


def kill(target):
    """Let go of all it has open, and nothing else, as the system does."""
    target._close(keep=True)


def killed_after_8_rows(path):
    """Begin a result, of which a run that is killed leaves a part."""
    target = open_for(path)
    target.write(0, IMAGE[:8])
    kill(target)
    return path


@pytest.fixture
def each_band_recorded(monkeypatch):
    monkeypatch.setattr(path_target, "SECONDS_BETWEEN_RECORDS", 0)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


# --- writing ---


@settings(max_examples=25, deadline=None)
@given(
    heights=st.lists(st.integers(1, 9), min_size=1, max_size=6),
    dtype=st.sampled_from(DTYPES),
    rest=st.sampled_from([(5,), (5, 1), (5, 3), (1, 4), (3, 7)]),
    suffix=st.sampled_from([".npy", ".tif"]),
)
def test_bands_of_any_heights_are_the_array(heights, dtype, rest, suffix):
    if (dtype, suffix) == ("float16", ".tif"):
        dtype = "float32"
    array = noise(sum(heights), *rest, dtype=dtype)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, f"new/folders/a{suffix}")
        target, y = open_for(path, array), 0
        for height in heights:
            target.write(y, array[y : y + height])
            y += height
        assert not path.exists()
        assert target.finish() == path
        forget_records([target])
        assert names_in(path.parent) == [path.name]
        found = kp.data.read_image(path)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, array.reshape(found.shape))
        if suffix == ".npy":
            np.testing.assert_array_equal(np.load(path), array)


@pytest.mark.parametrize("dtype", sorted({*DTYPES} - {"float16"}))
@pytest.mark.parametrize("rest", [(9,), (9, 3), (9, 4), (9, 5)])
def test_tiffs_are_read_by_gdal_and_tifffile(tmp_path, dtype, rest):
    array = noise(23, *rest, dtype=dtype)
    write_all(tmp_path / "a.tif", array)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tif"), array)
    with rasterio.open(tmp_path / "a.tif") as file:
        bands = file.read()
    np.testing.assert_array_equal(
        bands.transpose(1, 2, 0).reshape(array.shape), array
    )


def test_a_tiff_of_more_than_4_gb_is_a_bigtiff_in_small_strips(tmp_path):
    path, shape = tmp_path / "a.tif", (100_000, 50_000)
    with open(path, "w+b") as stream:  # Takes no room until it is written.
        offset = write_empty_tiff(stream, shape, "uint8")
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_bigtiff
        assert tiff.pages[0].shape == shape
        assert tiff.pages[0].dataoffsets[0] == offset
        assert tiff.pages[0].databytecounts[0] < 2**20
    path.unlink()


@pytest.mark.parametrize(
    ("name", "dtype", "instead"),
    [
        ("a.png", "uint8", r"\.npy, \.tif, \.tiff, \.zarr"),
        ("a", "uint8", r"\.npy, \.tif, \.tiff, \.zarr"),
        ("a.tif", "float16", r"\.npy, \.zarr"),
        ("a.tif", "bool", r"\.npy, \.zarr"),
        ("a.npy", "complex64", "pass an array"),
    ],
)
def test_what_cannot_hold_the_result_is_told_with_what_can(
    tmp_path, name, dtype, instead
):
    with pytest.raises(ValueError, match=rf"{name}: .*{dtype}.*{instead}"):
        open_for(tmp_path / name, np.zeros((3, 4), dtype))
    assert names_in(tmp_path) == []


def test_a_disk_without_room_is_an_error_before_anything_is_written(
    tmp_path, monkeypatch
):
    usage = collections.namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(600))
    with pytest.raises(ValueError, match=r"a\.npy need 621 bytes .* 600 bytes"):
        open_for(tmp_path / "a.npy")
    assert names_in(tmp_path) == []


def test_a_disk_without_room_costs_no_rows_of_another_run(
    tmp_path, monkeypatch
):
    path = tmp_path / "a.npy"
    target = open_for(path)
    target.write(0, IMAGE[:8])
    target.abandon()
    usage = collections.namedtuple("usage", "free")
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: usage(600))
        with pytest.raises(ValueError, match="Free some space"):
            open_for(path, np.zeros((99, 99, 9)))
    assert open_for(path).rows_done == 8


@contextlib.contextmanager
def files_up_to(size):
    """Let the system refuse to write behind so many bytes of a file."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_an_error_of_the_disk_names_the_file_and_what_is_written_stays(
    tmp_path,
):
    path = tmp_path / "a.npy"
    target = open_for(path)
    target.write(0, IMAGE[:8])
    with (
        files_up_to(500),
        pytest.raises(ValueError, match=r"a\.npy: cannot be written \(File"),
    ):
        target.write(8, IMAGE[8:])
    target.abandon()
    target = open_for(path)
    assert target.rows_done == 8
    write_rows(target, IMAGE, 8, len(IMAGE))
    np.testing.assert_array_equal(np.load(target.finish()), IMAGE)


def test_a_file_where_a_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "b").write_text("")
    with pytest.raises(ValueError, match="folders is a file"):
        open_for(tmp_path / "b" / "a.npy")


def test_a_folder_of_its_name_is_never_written_over(tmp_path):
    (tmp_path / "a.npy").mkdir()
    with pytest.raises(ValueError, match=r"a\.npy: is a folder"):
        open_for(tmp_path / "a.npy", overwrite=True)


@pytest.mark.parametrize(
    ("y", "band"),
    [
        (5, IMAGE[5:8]),
        (0, IMAGE[:8, :4]),
        (4, IMAGE[:20]),
        (4, IMAGE[4:8].astype("float32")),
    ],
)
def test_rows_that_are_not_the_next_are_an_error(tmp_path, y, band):
    target = open_for(tmp_path / "a.npy")
    target.write(0, IMAGE[:4])
    with pytest.raises(ValueError, match="expected rows of"):
        target.write(y, band)


def test_a_result_without_its_last_rows_does_not_appear(tmp_path):
    target = open_for(tmp_path / "a.npy")
    target.write(0, IMAGE[:4])
    with pytest.raises(ValueError, match="has 4 of 23 rows"):
        target.finish()
    assert not target.path.exists()


# --- going on ---


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("stop", range(0, 24, 4))
def test_killed_after_any_band_it_ends_in_the_same_bytes(
    tmp_path, each_band_recorded, name, stop
):
    write_all(tmp_path / "whole" / name)
    path = tmp_path / "killed" / name
    target = open_for(path)
    write_rows(target, IMAGE, 0, stop)
    kill(target)
    target = open_for(path)
    assert target.rows_done == stop
    target.write(0, IMAGE[: stop + 1])  # What is there already is left.
    write_rows(target, IMAGE, stop + 1, len(IMAGE))
    target.finish()
    assert path.read_bytes() == (tmp_path / "whole" / name).read_bytes()


WRITER = """
import sys, time
import numpy as np
from keras_patching.prediction import path_target
from keras_patching.prediction.targets import open_target

path_target.SECONDS_BETWEEN_RECORDS = 0.0
array = np.load(sys.argv[1])
target = open_target(
    sys.argv[2], array.shape, array.dtype, "a",
    key="k", resume=True, overwrite=False,
)
for y in range(target.rows_done, len(array)):
    target.write(y, array[y : y + 1])
    if y == 7:
        print("there", flush=True)
    # It is killed before it is done, however late that is.
    time.sleep(0.001 if y + 2 < len(array) else 600)
target.finish()
"""


def test_a_process_that_was_really_killed_is_gone_on_from(tmp_path):
    array = noise(4000, 5, dtype="float32")
    np.save(tmp_path / "source.npy", array)
    path = tmp_path / "a.npy"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, tmp_path / "source.npy", path],
        cwd=pathlib.Path(__file__).parents[2],
        stdout=subprocess.PIPE,
    )
    with process:
        process.stdout.readline()
        with pytest.raises(ValueError, match="by another process"):
            open_for(path, array)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    target = open_for(path, array)
    assert 8 <= target.rows_done < len(array)
    write_rows(target, array, target.rows_done, len(array), 1000)
    target.finish()
    np.testing.assert_array_equal(np.load(path), array)
    write_all(tmp_path / "whole.npy", array)
    assert path.read_bytes() == (tmp_path / "whole.npy").read_bytes()


def test_what_is_whole_is_known_until_the_run_ends(tmp_path):
    target = write_all(tmp_path / "a.npy")
    again = open_for(tmp_path / "a.npy")
    assert again.is_done
    assert again.finish() == tmp_path / "a.npy"
    forget_records([target])
    assert names_in(tmp_path) == ["a.npy"]
    with pytest.raises(ValueError, match=r"a\.npy: exists already"):
        open_for(tmp_path / "a.npy")


@pytest.mark.parametrize("stop", ["before its name", "before its record"])
def test_killed_with_all_rows_written_nothing_is_written_again(
    tmp_path, each_band_recorded, stop
):
    path = tmp_path / "a.npy"
    target = open_for(path)
    write_rows(target, IMAGE, 0, len(IMAGE))
    if stop == "before its name":
        target.finish()
        path.rename(path_target.part_path(path))
    else:
        kill(target)
    assert open_for(path).is_done
    np.testing.assert_array_equal(np.load(path), IMAGE)


@pytest.mark.parametrize(
    "other",
    [
        {"key": "other"},
        {"array": IMAGE[:20]},
        {"array": IMAGE.astype("float32")},
        {"resume": False},
    ],
)
def test_what_is_left_of_another_result_is_begun_anew(
    tmp_path, each_band_recorded, capsys, other
):
    path = killed_after_8_rows(tmp_path / "a.npy")
    target = open_for(path, **other)
    assert target.rows_done == 0
    assert ("begun anew" in capsys.readouterr().out) == ("resume" not in other)
    kill(target)  # Before its first record.
    assert open_for(path).rows_done == 0


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[1]",
        b'{"rows": 3',
        {"rows": -1},
        {"rows": 24},
        {"rows": "8"},
        {"facts": {}},
        {"facts": None},
        {"version": 2},
    ],
)
def test_a_broken_record_is_not_trusted(
    tmp_path, each_band_recorded, capsys, content
):
    path = killed_after_8_rows(tmp_path / "a.npy")
    record = path_target.record_path(path)
    if isinstance(content, dict):
        known = json.loads(record.read_bytes())
        content = json.dumps({**known, **content}).encode()
    record.write_bytes(content)
    assert open_for(path).rows_done == 0
    assert "begun anew" in capsys.readouterr().out


def test_a_part_of_another_size_is_begun_anew(tmp_path, each_band_recorded):
    path = killed_after_8_rows(tmp_path / "a.npy")
    with open(path_target.part_path(path), "ab") as stream:
        stream.write(b"more")
    assert open_for(path).rows_done == 0


def test_what_is_given_up_is_kept_from_the_first_row_on(tmp_path):
    target = open_for(tmp_path / "a.npy")
    target.abandon()
    target.abandon()
    assert names_in(tmp_path) == []
    target = open_for(tmp_path / "a.npy")
    target.write(0, IMAGE[:1])
    target.abandon()
    assert open_for(tmp_path / "a.npy").rows_done == 1


def test_a_result_that_was_changed_since_is_not_taken_for_whole(tmp_path):
    write_all(tmp_path / "a.npy")
    (tmp_path / "a.npy").write_bytes(b"mine")
    with pytest.raises(ValueError, match="exists already"):
        open_for(tmp_path / "a.npy")
    assert (tmp_path / "a.npy").read_bytes() == b"mine"


def test_a_file_of_others_is_replaced_only_if_asked_and_at_the_end(tmp_path):
    path = tmp_path / "a.npy"
    path.write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"a\.npy: exists already"):
        open_for(path)
    assert names_in(tmp_path) == ["a.npy"]
    target = open_for(path, overwrite=True)
    write_rows(target, IMAGE, 0, len(IMAGE))
    assert path.read_bytes() == b"mine"
    target.finish()
    np.testing.assert_array_equal(np.load(path), IMAGE)


def test_a_file_that_came_meanwhile_is_kept(tmp_path):
    path = tmp_path / "a.npy"
    target = open_for(path)
    write_rows(target, IMAGE, 0, len(IMAGE))
    path.write_bytes(b"mine")
    with pytest.raises(ValueError, match="exists already"):
        target.finish()
    target.abandon()
    assert path.read_bytes() == b"mine"
    assert open_for(path, overwrite=True).is_done


def test_one_result_is_written_once_at_a_time(tmp_path):
    target = open_for(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"/a\.npy: is being written"):
        open_for(tmp_path / "a.npy")
    write_rows(target, IMAGE, 0, len(IMAGE))
    target.finish()
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), IMAGE)


# --- zarr ---


@pytest.fixture
def zarr(monkeypatch):
    from keras_patching.prediction import zarr_folder

    # 5 rows a chunk
    monkeypatch.setattr(zarr_folder, "_CHUNK_BYTES", 5 * IMAGE[0].nbytes)
    return pytest.importorskip("zarr")


def bytes_in(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_zarr_arrays_are_chunks_of_rows(tmp_path, zarr):
    target = write_all(tmp_path / "a.zarr")
    array = zarr.open_array(tmp_path / "a.zarr", mode="r")
    np.testing.assert_array_equal(array[:], IMAGE)
    assert array.chunks == (5, 9, 3)
    assert open_for(tmp_path / "a.zarr").is_done
    forget_records([target])
    assert names_in(tmp_path) == ["a.zarr"]


@pytest.mark.parametrize("stop", range(0, 24, 4))
def test_a_killed_zarr_array_ends_in_the_same_bytes(
    tmp_path, each_band_recorded, zarr, stop
):
    write_all(tmp_path / "whole.zarr")
    target = open_for(tmp_path / "a.zarr")
    write_rows(target, IMAGE, 0, stop)
    with pytest.raises(ValueError, match="is being written"):
        open_for(tmp_path / "a.zarr")
    kill(target)
    target = open_for(tmp_path / "a.zarr")
    assert target.rows_done == stop // 5 * 5
    write_rows(target, IMAGE, target.rows_done, len(IMAGE))
    target.finish()
    assert bytes_in(tmp_path / "a.zarr") == bytes_in(tmp_path / "whole.zarr")


def test_only_a_zarr_array_is_replaced_by_one(tmp_path, zarr):
    path = tmp_path / "a.zarr"
    path.mkdir()
    (path / "mine").write_bytes(b"mine")
    with pytest.raises(ValueError, match="is no zarr array"):
        open_for(path, overwrite=True)
    shutil.rmtree(path)
    forget_records([write_all(path)])
    write_all(path, 255 - IMAGE, key="other", overwrite=True)
    array = zarr.open_array(path, mode="r")
    np.testing.assert_array_equal(array[:], 255 - IMAGE)


def test_without_zarr_the_error_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(ImportError, match=r"keras-patching\[zarr\]"):
        open_for(tmp_path / "a.zarr")


# --- arrays of the user's ---


def test_arrays_and_data_sets_are_filled(tmp_path):
    mapped = np.lib.format.open_memmap(
        tmp_path / "a.npy", "w+", "uint16", IMAGE.shape
    )
    with h5py.File(tmp_path / "a.h5", "w") as file:
        data = file.create_dataset("a", IMAGE.shape, "float32")
        for out in (np.zeros_like(IMAGE), mapped, data):
            target = open_for(out)
            assert target.rows_done == 0
            write_rows(target, IMAGE, 0, len(IMAGE))
            assert target.finish() is out
            target.abandon()
            forget_records([target])
            np.testing.assert_array_equal(out[:], IMAGE)


def read_only():
    array = np.zeros_like(IMAGE)
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        (IMAGE[:20].copy(), ValueError, r"\(23, 9, 3\) of uint8.*\(20, 9, 3\)"),
        (np.zeros(IMAGE.shape, "bool"), ValueError, "of uint8.*dtype=bool"),
        (read_only(), ValueError, "read-only"),
        (7, TypeError, "a path, or an array"),
    ],
)
def test_arrays_that_cannot_hold_the_result_are_errors(out, error, message):
    with pytest.raises(error, match=message):
        open_for(out)


# --- one for each source ---


def test_a_name_in_braces_stands_for_the_source():
    assert list_outs("r/{name}.npy", ["a", "b"]) == ["r/a.npy", "r/b.npy"]
    template = pathlib.Path("r") / "{name}.npy"
    assert list_outs(template, ["a"]) == ["r/a.npy"]


def test_one_source_has_one_path_or_array():
    assert list_outs("a.npy", ["x"]) == ["a.npy"]
    assert list_outs(IMAGE, ["x"])[0] is IMAGE
    assert list_outs(["a.npy", IMAGE], ["x", "y"])[1] is IMAGE


@pytest.mark.parametrize("out", ["a.npy", IMAGE, ["a.npy"], []])
def test_as_many_targets_as_sources_are_asked_for(out):
    with pytest.raises(ValueError, match=r"\{name\}.*list of 2"):
        list_outs(out, ["x", "y"])


@pytest.mark.parametrize(
    ("out", "names"),
    [
        ("{name}.npy", ["a", "b", "a"]),
        (["x.npy", "y.npy", "./x.npy"], ["a", "b", "c"]),
        ([IMAGE, "y.npy", IMAGE], ["a", "b", "c"]),
    ],
)
def test_two_results_in_one_are_an_error(out, names):
    first, _, last = names
    with pytest.raises(ValueError, match=f"of '{first}', '{last}'"):
        list_outs(out, names)


def test_files_that_would_be_lost_are_listed_before_anything_is_done(tmp_path):
    paths = [tmp_path / name for name in ("a.npy", "b.npy", "c.npy")]
    write_all(paths[0])
    paths[1].write_bytes(b"mine")

    def check(sources=(), resume=True, overwrite=False):
        outs = [IMAGE, *paths]
        check_outs(outs, sources, resume=resume, overwrite=overwrite)

    with pytest.raises(ValueError, match="exists already") as error:
        check()
    assert "a.npy" not in str(error.value)
    with pytest.raises(ValueError, match="exists already") as error:
        check(resume=False)
    assert "a.npy" in str(error.value)
    check(overwrite=True)
    with pytest.raises(ValueError, match="over images to predict") as error:
        check(sources=[paths[1]], overwrite=True)
    assert "b.npy" in str(error.value)
