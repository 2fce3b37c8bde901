"""What manifests remember is not read again, nor are manifests themselves."""

import os
import pathlib

import numpy as np
import pytest
from opened_files import opened_files

from keras_patching import load_dataset_from_directory_with_segmentation_masks
from keras_patching.data import write_image


@pytest.fixture
def folder(tmp_path, aged):
    """Six images and masks, as old as files mostly are."""
    rng = np.random.default_rng(0)
    for kind, shape in (("images", (12, 20, 3)), ("masks", (12, 20))):
        (tmp_path / kind).mkdir()
        for index in range(6):
            path = tmp_path / kind / f"{index}.png"
            write_image(path, rng.integers(0, 2, shape, dtype="uint8"))
    return tmp_path


def load(folder, patch_size=8, **options):
    return load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        patch_size,
        verbose=False,
        shuffle=False,
        **options,
    )


def load_and_list(folder, **options):
    """Load, and count the files that were opened by their kind."""
    with opened_files() as opened:
        sequence = load(folder, **options)
    opened = [pathlib.Path(p) for p in opened if p.startswith(str(folder))]
    return sequence, {
        "manifests": [p for p in opened if p.suffix == ".json"],
        "shards": [p for p in opened if p.suffix == ".npy"],
        "images": [p for p in opened if p.suffix == ".png"],
    }


def test_a_second_call_reads_its_manifest_once_and_no_image(folder):
    load(folder, patch_size=4)  # another cache in the same folder
    first = load(folder)
    sequence, opened = load_and_list(folder)
    assert opened["manifests"] == [sequence.manifest_path]
    assert opened["images"] == []
    assert len(opened["shards"]) == 12
    np.testing.assert_array_equal(sequence[0][0], first[0][0])


def test_files_that_are_too_young_to_trust_are_read_and_the_manifest_once(
    folder,
):
    path = folder / "images" / "3.png"
    load(folder)
    os.utime(path)
    sequence, opened = load_and_list(folder)
    assert opened["manifests"].count(sequence.manifest_path) == 1
    assert set(opened["images"]) == {path}


def test_another_cache_is_asked_for_what_it_knows(folder):
    other = load(folder, ignore_value=255)
    sequence, opened = load_and_list(folder)
    assert opened["manifests"].count(other.manifest_path) == 1
    # Masks are cut anew, and images are where they were.
    assert {path.parent.name for path in opened["images"]} == {"masks"}
    assert sequence.manifest_path != other.manifest_path


def test_images_that_were_added_are_read_and_no_others(folder):
    load(folder)
    for kind in ("images", "masks"):
        new = (folder / kind / "5.png").read_bytes()
        (folder / kind / "6.png").write_bytes(new)
    sequence, opened = load_and_list(folder)
    assert len(sequence.image_names) == 7
    assert {path.name for path in opened["images"]} == {"6.png"}
