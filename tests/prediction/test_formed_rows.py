"""Results that get another form when their rows are whole."""

import numpy as np
import pytest
from image_files import noise

from keras_patching._whole_files import OutputError
from keras_patching.prediction.targets import open_target

IMAGE = noise(23, 9, 3)


def turned(rows, path):
    """Make a file of columns, read in windows of two by three."""
    height, width = rows.shape[:2]
    columns = np.zeros((width, height, *rows.shape[2:]), rows.dtype)
    for y in range(0, height, 2):
        for x in range(0, width, 3):
            window = rows.read(y, min(2, height - y), x, min(3, width - x))
            part = columns[x : x + 3, y : y + 2]
            part[...] = window.swapaxes(0, 1)
    with open(path, "wb") as stream:
        np.save(stream, columns)


def target_of(path, form, array=IMAGE):
    return open_target(
        path,
        array.shape,
        array.dtype,
        "a",
        key="k",
        resume=True,
        overwrite=False,
        form=form,
    )


@pytest.mark.parametrize("array", [IMAGE, IMAGE[..., 0].astype("float32")])
def test_a_form_is_made_of_windows_of_the_rows(tmp_path, array):
    target = target_of(tmp_path / "a.npy", turned, array)
    target.write(0, array[:20])
    target.write(20, array[20:])
    assert target.finish() == tmp_path / "a.npy"
    target.forget()
    found = np.load(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, array.swapaxes(0, 1))
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]


def test_a_form_that_fails_costs_no_row_and_is_made_by_the_next_run(tmp_path):
    def fails(rows, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    path = tmp_path / "a.npy"
    target = target_of(path, fails)
    target.write(0, IMAGE)
    with pytest.raises(OutputError, match="No space left"):
        target.finish()
    target.abandon()
    assert not path.exists()
    target = target_of(path, turned)
    assert target.is_done
    np.testing.assert_array_equal(np.load(path), IMAGE.swapaxes(0, 1))


def test_what_a_kill_left_beside_a_whole_form_is_removed(tmp_path):
    target = target_of(tmp_path / "a.npy", turned)
    target.write(0, IMAGE)
    target.finish()
    (tmp_path / ".a.npy.part").write_bytes(b"rows")
    target_of(tmp_path / "a.npy", turned).forget()
    assert [path.name for path in tmp_path.iterdir()] == ["a.npy"]
