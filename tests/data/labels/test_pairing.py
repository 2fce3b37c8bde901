"""Which files belong to a data set: none is left out without a word."""

import os
import unicodedata

import numpy as np
import pytest

from keras_patching.data.images.image_io import read_header, write_image
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.pairing import pair_by_stem

NAME = "Gr\u00fcn"
COMPOSED = unicodedata.normalize("NFC", NAME) + ".png"
DECOMPOSED = unicodedata.normalize("NFD", NAME) + ".png"


def write(*paths):
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        write_image(path, np.zeros((4, 5), "uint8"))


@pytest.mark.parametrize("folders", [("images", "masks"), ("masks",)])
def test_links_that_lead_nowhere_are_named(tmp_path, folders):
    write(*(tmp_path / f / "a.png" for f in ("images", "masks")))
    for folder in folders:
        (tmp_path / folder / "b.PNG").symlink_to("../.git/annex/b")
    with pytest.raises(
        FileNotFoundError,
        match=rf"{folders[0]}: 1 links lead nowhere: b\.PNG -> .*annex/b.*get",
    ):
        pair_by_stem(tmp_path / "images", tmp_path / "masks", "mask")


def test_a_link_to_itself_leads_nowhere(tmp_path):
    write(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("b.png")
    with pytest.raises(FileNotFoundError, match=r"b\.png -> b\.png"):
        list_images(tmp_path)


def test_links_to_images_and_to_folders_are_followed(tmp_path):
    write(tmp_path / "elsewhere" / "a.png", tmp_path / "images" / "b.png")
    (tmp_path / "images" / "c.png").symlink_to("../elsewhere/a.png")
    (tmp_path / "images" / "d.png").symlink_to("../elsewhere")
    assert list(list_images(tmp_path / "images")) == ["b", "c"]


def test_labels_in_the_folder_of_images_have_one_ending(tmp_path):
    folder = tmp_path / "images"
    write(*(folder / name for name in ("a_1.png", "b.png", "c.png")))
    with pytest.raises(ValueError, match=r"one ending .* Found none\. Put"):
        pair_by_stem(folder, folder, "mask")
    write(folder / "a_1_mask.png", folder / "b_mask.png")
    with pytest.raises(ValueError, match=r"c\.png: has no mask"):
        pair_by_stem(folder, folder, "mask")
    write(folder / "c_mask.png")
    assert [
        (image.name, mask.name)
        for image, mask in pair_by_stem(folder, folder, "mask")
    ] == [(f"{name}.png", f"{name}_mask.png") for name in ("a_1", "b", "c")]
    write(folder / "c_depth.png")
    with pytest.raises(ValueError, match="endings '_mask', '_depth'"):
        pair_by_stem(folder, folder, "mask")


def test_two_spellings_of_a_name_are_a_pair(tmp_path):
    image = tmp_path / "images" / COMPOSED
    mask = tmp_path / "masks" / DECOMPOSED
    write(image, mask)
    assert pair_by_stem(image.parent, mask.parent, "mask") == [(image, mask)]


def test_two_spellings_in_one_folder_are_told_apart(tmp_path):
    write(tmp_path / COMPOSED, tmp_path / DECOMPOSED)
    with pytest.raises(ValueError, match=r"Gru\\u0308n.*Gr\\xfcn.*Unicode"):
        list_images(tmp_path)


def test_names_that_are_not_utf8_are_listed(tmp_path):
    write(tmp_path / os.fsdecode(b"Gr\xfcn.png"))
    assert list(list_images(tmp_path)) == [os.fsdecode(b"Gr\xfcn")]


def test_a_folder_of_folders_says_where_images_are(tmp_path):
    write(tmp_path / "train" / "a.png")
    with pytest.raises(ValueError, match=r"no images found.*folder train"):
        list_images(tmp_path)


def test_a_pointer_of_git_lfs_is_named(tmp_path):
    path = tmp_path / "a.png"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0")
    with pytest.raises(ValueError, match=r"a\.png: .*git lfs pull"):
        read_header(path)
