"""Which files of a folder are images, and when they cannot be told apart."""

import pytest

from keras_patching.data.images.listing import list_images


def test_images_are_listed_by_stem_in_order_of_name(tmp_path):
    for name in ("b.PNG", "a 1.jpg", "c.v2.tiff", ".hidden.png", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert list_images(str(tmp_path)) == {
        "a 1": tmp_path / "a 1.jpg",
        "b": tmp_path / "b.PNG",
        "c.v2": tmp_path / "c.v2.tiff",
    }
    assert list(list_images(tmp_path)) == ["a 1", "b", "c.v2"]


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        list_images(tmp_path / "nowhere")


def test_a_file_in_place_of_a_folder_is_called_one(tmp_path):
    (tmp_path / "boxes.csv").touch()
    with pytest.raises(NotADirectoryError, match=r"is a file.*labels first"):
        list_images(tmp_path / "boxes.csv")


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ValueError, match=r"no images found.*\.png \.jpg"):
        list_images(tmp_path)


def test_one_stem_twice_is_an_error_that_lists_the_files(tmp_path):
    for name in ("a.png", "a.jpg", "b.png"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"a\.jpg, a\.png") as error:
        list_images(tmp_path)
    assert "b.png" not in str(error.value)
