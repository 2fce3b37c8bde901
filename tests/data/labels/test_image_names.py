"""What a label file calls an image is found, or told with what is meant."""

import os
import unicodedata

import pytest

from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.image_names import ImageNames

COMPOSED = unicodedata.normalize("NFC", "Grün.png")
DECOMPOSED = unicodedata.normalize("NFD", "Grün.png")


def names_of(folder, *files):
    for file in files:
        (folder / file).touch()
    return ImageNames(list_images(folder))


@pytest.mark.parametrize("on_disk", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("called", [COMPOSED, DECOMPOSED])
def test_both_spellings_of_a_unicode_name_are_found(tmp_path, on_disk, called):
    names = names_of(tmp_path, on_disk)
    assert names.find(called) == tmp_path / on_disk
    assert names.find(called.removesuffix(".png")) == tmp_path / on_disk
    assert names.find_stem(called.removesuffix(".png")) == tmp_path / on_disk


def test_a_file_name_goes_before_a_stem(tmp_path):
    names = names_of(tmp_path, "a.png", "a.png.tif")
    assert names.find("a.png") == tmp_path / "a.png"
    assert names.find_stem("a.png") == tmp_path / "a.png.tif"


@pytest.mark.parametrize(
    ("called", "told"),
    [
        ("leaf.jpg", "There is leaf.png: correct the suffix."),
        ("Leaf.PNG", "There is leaf.png: correct upper and lower case."),
        ("LEAF", "There is leaf.png: correct upper and lower case."),
        ("7.png", "There is 007.png: write the zeros before it"),
        ("7", "There is 007.png: write the zeros before it"),
        ("images/leaf.png", "There is leaf.png. Leave out the folder."),
        (r"C:\my\leaf.png", "There is leaf.png. Leave out the folder."),
        ("../other.png", "Leave out the folder."),
        ("other.png", "Correct the name, add the image, or remove the row."),
    ],
)
def test_a_name_that_is_not_found_is_told_with_what_is_meant(
    tmp_path, called, told
):
    names = names_of(tmp_path, "leaf.png", "007.png")
    assert names.find(called) is None
    fault = names.describe_unknown(called, "row")
    assert fault.startswith(f"found the name {called!r}, expected an image in ")
    assert told in fault


def test_an_image_whose_name_is_not_utf_8_is_told(tmp_path):
    path = os.path.join(os.fsencode(tmp_path), "Grün.png".encode("cp1252"))
    try:
        open(path, "wb").close()
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    image = tmp_path / os.fsdecode(os.path.basename(path))
    fault = ImageNames({image.stem: image}).describe_unknown("Grün.png", "row")
    assert r"There is Gr\xfcn.png: its name is not UTF-8: rename it" in fault
    fault.encode()  # so that it can be printed
