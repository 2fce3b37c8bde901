"""Objects that `predict_images` numbers are those of the whole image."""

import keras
import numpy as np
import pytest
import rasterio
import tifffile
import zarr
from rasters import Raster
from scipy_regions import number, random_map

import keras_patching as kp
from keras_patching.data.images.pixel_size import PixelSize
from keras_patching.models.segmentation.numbered_objects import as_objects
from keras_patching.models.segmentation.regions import RegionFinder

READERS = {
    ".npy": np.load,
    ".tif": tifffile.imread,
    ".ome.tif": tifffile.imread,
    ".zarr": lambda path: zarr.open(path, mode="r")[:],
}


def model_of(num_classes=3, **options):
    """Return a model that finds the class that its image says."""
    net = keras.Sequential(
        [
            keras.Input((None, None, num_classes)),
            keras.layers.Conv2D(num_classes, 1, use_bias=False),
        ]
    )
    net.set_weights([np.eye(num_classes)[None, None]])
    options = {"patch_size": 16, "overlap": "auto", **options}
    return kp.SemanticSegmentationModel(
        num_classes,
        net,
        activation="linear",
        channels=num_classes,
        value_range=(0, 1),
        **options,
    )


def masks():
    rng = np.random.default_rng(0)
    return [random_map(rng)[0] % 3 for _ in range(3)]


def image_of(mask, num_classes=3):
    return np.eye(num_classes, dtype="float32")[mask]


def check_objects(found, mask, background=(0,)):
    """Compare objects with those of the whole map; return its numbers."""
    numbers = number(mask, background)
    places = [np.argwhere(numbers == i + 1) for i in range(numbers.max())]
    assert found["labels"].tolist() == [mask[tuple(p[0])] for p in places]
    assert found["areas"].tolist() == [len(each) for each in places]
    np.testing.assert_allclose(
        found["centers"], [each.mean(axis=0) + 0.5 for each in places]
    )
    return numbers


@pytest.mark.parametrize(
    "tiling",
    [
        {"predict_patch_size": (8, None)},
        {"overlap": 0},
        {"overlap": 4, "predict_patch_size": (12, 20)},
    ],
    ids=str,
)
def test_they_are_those_of_the_whole_image_however_it_is_tiled(tiling):
    images = [image_of(mask) for mask in masks()]
    found = model_of(**tiling).predict_images(
        images, transform="instances", verbose=False
    )
    for each, mask in zip(found, masks(), strict=True):
        check_objects(each, mask)


def test_pixels_that_are_not_labelled_in_training_are_of_no_object():
    (mask, *_) = masks()
    (found,) = model_of(ignore_value=2).predict_images(
        [image_of(mask)], transform="instances", verbose=False
    )
    check_objects(found, mask, background=(0, 2))


def test_places_that_are_not_kept_have_no_objects():
    mask = np.ones((16, 32), "uint8")
    keep = np.array([[1, 0]])
    (found,) = model_of(overlap=0).predict_images(
        [image_of(mask)], transform="instances", keep=[keep], verbose=False
    )
    assert found["boxes"].tolist() == [[0, 0, 16, 16]]


def test_an_image_without_objects_has_empty_tables(tmp_path):
    image = image_of(np.zeros((20, 10), "uint8"))
    (found,) = model_of().predict_images(
        [image], transform="instances", out=tmp_path / "0.npy", verbose=False
    )
    assert found["boxes"].shape == (0, 4)
    assert found["centers"].shape == (0, 2)
    assert not np.load(found["map"]).any()


@pytest.mark.parametrize("suffix", READERS)
def test_their_numbers_are_written_and_nothing_else_is_left(suffix, tmp_path):
    images = [image_of(mask) for mask in masks()]
    found = model_of().predict_images(
        images,
        transform="instances",
        out=f"{tmp_path}/{{name}}{suffix}",
        verbose=False,
    )
    assert [each["map"].name for each in found] == [
        f"image_{i}{suffix}" for i in range(3)
    ]
    assert len(list(tmp_path.iterdir())) == 3
    for each, mask in zip(found, masks(), strict=True):
        written = READERS[suffix](each["map"])
        assert written.dtype == "uint32"
        np.testing.assert_array_equal(written, check_objects(each, mask))


def test_their_numbers_go_into_arrays_of_the_user():
    images = [image_of(mask) for mask in masks()]
    arrays = [np.full(mask.shape, 99, "uint64") for mask in masks()]
    found = model_of().predict_images(
        images, transform="instances", out=arrays, verbose=False
    )
    for each, mask, array in zip(found, masks(), arrays, strict=True):
        assert each["map"] is array
        np.testing.assert_array_equal(array, check_objects(each, mask))


def test_a_run_that_fails_goes_on_to_the_same_bytes_and_objects(tmp_path):
    model = model_of(predict_patch_size=(8, None))
    large = np.tile(masks()[0], (12, 1))
    images = {"one": image_of(masks()[1]), "two": image_of(large)}
    for name in images:
        (tmp_path / name).write_bytes(b"pixels")
    rows = {"one": 0, "two": len(large)}

    def run(fails_at=None):
        sources = [
            Raster(tmp_path / name, image, fails_at and fails_at[name])
            for name, image in images.items()
        ]
        found = model.predict_images(
            sources,
            transform="instances",
            out=[tmp_path / "one.npy", tmp_path / "two.npy"],
            batch_size=1,
            verbose=False,
        )
        return found, sources

    expected, _ = run()
    content = [each["map"].read_bytes() for each in expected]
    for each in expected:
        each["map"].unlink()
    with pytest.raises(ValueError, match="1 of 2 images failed"):
        run(fails_at={"one": 1000, "two": rows["two"] // 2})
    found, (one, two) = run()
    assert one.rows == []
    assert 0 < two.rows[0] < rows["two"] // 2
    assert [each["map"].read_bytes() for each in found] == content
    for each, then in zip(found, expected, strict=True):
        np.testing.assert_array_equal(each["areas"], then["areas"])
        np.testing.assert_array_equal(each["boxes"], then["boxes"])
    names = sorted(each.name for each in tmp_path.iterdir())
    assert names == ["one", "one.npy", "two", "two.npy"]


def test_they_are_measured_in_metres_where_pixels_are_not_square():
    finder = RegionFinder(3)
    finder.add(np.array([[0, 1, 1], [0, 0, 1]]))
    found = as_objects(finder.finish(), PixelSize(2, 0.5, "m"))
    assert found["perimeters"].tolist() == [8]
    physical = found["physical"]
    assert physical["unit"] == "m"
    assert physical["areas"].tolist() == [3]
    # Four sides of 2 m, and four of half a metre.
    assert physical["perimeters"].tolist() == [10]
    assert physical["boxes"].tolist() == [[0.5, 0, 1.5, 4]]
    np.testing.assert_allclose(physical["centers"], [[5 / 3, 13 / 12]])


def test_the_size_of_a_pixel_is_that_of_the_image(tmp_path):
    mask = masks()[0]
    image = image_of(mask).transpose(2, 0, 1)
    path = tmp_path / "field.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        height=mask.shape[0],
        width=mask.shape[1],
        count=3,
        dtype="float32",
        crs="EPSG:32632",
        transform=rasterio.Affine(0.5, 0, 500000, 0, -0.5, 5000000),
    ) as data_set:
        data_set.write(image)
    (found,) = model_of().predict_images(
        [path], transform="instances", verbose=False
    )
    np.testing.assert_allclose(found["physical"]["areas"], found["areas"] / 4)


@pytest.mark.parametrize("out", [None, "found.npy"])
def test_those_of_a_resized_image_are_in_pixels_of_its_file(out, tmp_path):
    image = image_of(np.kron(masks()[0], np.ones((2, 2), "uint8")))
    path, out = tmp_path / "large.npy", out and tmp_path / out
    np.save(path, image)
    model = model_of(resize=(31, 17))
    (mask,) = model.predict_images([path], transform="classes", verbose=False)
    (found,) = model.predict_images(
        [path], transform="instances", out=out, verbose=False
    )
    numbers = check_objects(found, mask)
    assert numbers.shape == image.shape[:2]
    if out is not None:
        np.testing.assert_array_equal(np.load(found["map"]), numbers)


def test_patches_that_are_not_stitched_have_no_objects_in_common():
    model = model_of(overlap=0, stitch=False)
    found = model.predict_images(
        [image_of(masks()[0])], transform="instances", verbose=False
    )
    with pytest.raises(ValueError, match="leave out `stitch=False`"):
        list(found)
