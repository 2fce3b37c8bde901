"""Where images have no data nothing is learned."""

import numpy as np
import pytest
from image_files import noise
from maps import write_map

import keras_patching as kp

KNOWN = np.zeros((64, 96), bool)
KNOWN[:, :40] = True
IMAGE = noise(64, 96, 3) // 2 + 10
MASK = noise(64, 96) % 2


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    write_map(tmp_path / "images" / "a.tif", IMAGE, valid=KNOWN)
    kp.data.write_image(tmp_path / "masks" / "a.png", MASK)
    return tmp_path


def load_masks(folder, **options):
    return kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        patch_size=(64, 96),
        verbose=False,
        **options,
    )


def test_masks_are_ignored_and_images_black(folder):
    ((images, masks),) = load_masks(folder, ignore_value=255)
    np.testing.assert_array_equal(images[0], IMAGE * KNOWN[..., None])
    np.testing.assert_array_equal(masks[0], np.where(KNOWN, MASK, 255))
    # What has data now is cut anew.
    write_map(folder / "images" / "a.tif", IMAGE, valid=~KNOWN)
    ((images, masks),) = load_masks(folder, ignore_value=255)
    np.testing.assert_array_equal(masks[0], np.where(KNOWN, 255, MASK))


def test_without_a_value_to_ignore_the_error_asks_for_one(folder):
    with pytest.raises(ValueError, match=r"3,584 of its pixels.*ignore_value"):
        load_masks(folder)
    write_map(folder / "images" / "a.tif", IMAGE, nodata=255)  # but has none
    assert load_masks(folder)[0][1].max() == 1


def test_a_value_beyond_the_range_is_black(folder):
    image = np.where(KNOWN[..., None], IMAGE.astype("float32"), -9999)
    write_map(
        folder / "images" / "a.tif", image.astype("float32"), nodata=-9999
    )
    ((images, _),) = load_masks(folder, ignore_value=255)
    np.testing.assert_array_equal(images[0], IMAGE * KNOWN[..., None])


def test_points_without_data_are_listed(folder):
    (folder / "points.csv").write_text("image,x,y\na.tif,3,5\na.tif,60.5,7\n")
    with pytest.raises(ValueError, match=r"line 3.*x=60\.5, y=7 lies where"):
        kp.load_heatmap_dataset_with_csv_from_directory(
            folder / "images", folder / "points.csv", 32, verbose=False
        )


def test_detectors_learn_from_no_patch_without_data(folder):
    labels = folder / "boxes.csv"
    labels.write_text(
        "image,xmin,ymin,xmax,ymax,label\na.tif,4,4,12,12,plant\n"
    )

    def load():
        return kp.load_yolo_dataset_from_directory(
            labels, folder / "images", 16, grid_size=2, verbose=False, seed=0
        )

    planned = load()
    assert planned.num_samples > 3
    assert all(images.any(axis=(1, 2, 3)).all() for images, _ in planned)
    labels.write_text(
        "image,xmin,ymin,xmax,ymax,label\na.tif,64,4,72,12,plant\n"
    )
    with pytest.raises(ValueError, match="center of the box"):
        load()
