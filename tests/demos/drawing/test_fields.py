import numpy as np
import pytest

from keras_patching.data.images import image_io
from keras_patching.data.images.label_images import read_mask
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.point_labels import check_points_inside
from keras_patching.data.labels.points_csv import read_points_csv
from keras_patching.demos.drawing import fields as drawn
from keras_patching.demos.drawing import plants
from keras_patching.demos.thresholding import (
    threshold_mask,
    threshold_points,
)
from keras_patching.metrics import count_errors, localization_scores


def iou(mask, truth):
    return np.sum(mask & truth) / np.sum(mask | truth)


def test_a_field_is_an_image_with_its_mask():
    image, mask = drawn.plant_field(size=(96, 130), seed=1)
    assert image.shape == (96, 130, 3)
    assert image.dtype == np.uint8
    assert mask.shape == (96, 130)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}


def test_the_same_seed_draws_the_same_field():
    first = drawn.plant_field(size=(64, 64), seed=5)
    second = drawn.plant_field(size=(64, 64), seed=5)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_seeds_and_sizes_draw_other_fields():
    image, _ = drawn.plant_field(size=(64, 64), seed=5)
    other, _ = drawn.plant_field(size=(64, 64), seed=6)
    larger, _ = drawn.plant_field(size=(64, 65), seed=5)
    assert np.mean(image != other) > 0.9
    assert np.mean(image != larger[:, :64]) > 0.9


@pytest.mark.parametrize("size", [(2, 2), (2, 300), (17, 5)])
def test_small_and_narrow_fields_can_be_drawn(size):
    image, mask = drawn.plant_field(size, seed=0)
    assert image.shape[:2] == mask.shape == size


def test_a_field_without_pixels_is_an_error():
    with pytest.raises(ValueError, match=r"Received: size=\(0, 100\)"):
        drawn.plant_field(size=(0, 100))


def test_colour_alone_finds_plants_but_does_not_solve_the_task():
    fields = [drawn.plant_field((384, 512), seed) for seed in range(6)]
    found = np.stack([threshold_mask(image) for image, _ in fields])
    truth = np.stack([mask for _, mask in fields])
    assert 0.45 < iou(found, truth) < 0.75
    assert 0.2 < truth.mean() < 0.5


def test_a_plant_can_be_drawn_with_a_number_of_its_own():
    rng = np.random.default_rng(0)
    canvas = plants.draw_soil((200, 300), rng)
    numbers = np.zeros((200, 300), "uint16")
    for number, center in enumerate([(80, 80), (110, 220), (100, 150)], 1):
        plants.draw_rosette(canvas, numbers, center, 50, rng, number)
    assert set(np.unique(numbers)) == {0, 1, 2, 3}
    y, x = np.nonzero(numbers == 2)
    assert np.hypot(y - 110, x - 220).max() < 70


def test_grass_over_a_plant_is_not_plant():
    rng = np.random.default_rng(0)
    canvas = plants.draw_soil((100, 100), rng)
    mask = np.ones((100, 100), "uint8")
    plants.draw_grass(canvas, (50, 50), rng, mask)
    assert 0 < np.mean(mask == 0) < 0.2


def test_a_data_set_is_written_in_pairs(tmp_path):
    images, masks = drawn.write_plant_field(
        tmp_path / "field", num_images=3, size=(40, 60), seed=2
    )
    assert list(list_images(images)) == [
        "field_000",
        "field_001",
        "field_002",
    ]
    assert list(list_images(masks)) == list(list_images(images))
    image, mask = drawn.plant_field((40, 60), seed=(2, 1))
    np.testing.assert_array_equal(read_mask(masks / "field_001.png"), mask)
    written = image_io.read_image(images / "field_001.jpg", channels=3)
    assert np.abs(written.astype(int) - image).mean() < 8


def test_progress_is_shown_on_request(tmp_path, capsys):
    drawn.write_plant_field(tmp_path, 2, size=(16, 16), verbose=True)
    assert "2/2" in capsys.readouterr().out


def test_a_field_of_seedlings_is_an_image_with_centers_and_boxes():
    image, points, boxes = drawn.seedling_field((200, 300), seed=1)
    assert image.shape == (200, 300, 3)
    assert image.dtype == np.uint8
    assert points.shape == (len(points), 2)
    assert boxes.shape == (len(points), 4)
    assert len(points) > 5


def test_the_same_seed_draws_the_same_seedlings():
    first = drawn.seedling_field((64, 64), seed=5)
    second = drawn.seedling_field((64, 64), seed=5)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_seeds_and_sizes_draw_other_seedlings():
    image, points, _ = drawn.seedling_field((128, 128), seed=5)
    other, other_points, _ = drawn.seedling_field((128, 128), seed=6)
    larger, _, _ = drawn.seedling_field((128, 129), seed=5)
    assert np.mean(image != other) > 0.9
    assert np.mean(image != larger[:, :128]) > 0.9
    assert not np.array_equal(points, other_points)


@pytest.fixture(scope="module")
def seedling_fields():
    return [drawn.seedling_field((768, 1024), seed) for seed in range(6)]


def test_fields_hold_different_numbers_of_seedlings(seedling_fields):
    counts = [len(points) for _, points, _ in seedling_fields]
    assert 50 < min(counts) < max(counts) < 250
    assert max(counts) > 1.4 * min(counts)


def test_boxes_lie_in_the_image_around_leaves_of_both_sides(seedling_fields):
    for _, points, boxes in seedling_fields:
        x1, y1, x2, y2 = boxes.T
        assert (x1 >= 0).all()
        assert (y1 >= 0).all()
        assert (x2 <= 1024).all()
        assert (y2 <= 768).all()
        y, x = points.T
        assert ((x1 - 2 <= x) & (x <= x2 + 1)).all()
        assert ((y1 - 2 <= y) & (y <= y2 + 1)).all()
        extents = np.maximum(x2 - x1, y2 - y1)
        assert np.median(extents) > 12
        assert extents.max() < 60


def test_from_closer_fewer_and_larger_seedlings_are_seen(seedling_fields):
    def sides(boxes):
        return np.maximum(*(boxes[:, 2:] - boxes[:, :2]).T)

    _, _, boxes = drawn.seedling_field((768, 1024), seed=0, zoom=2.5)
    far = seedling_fields[0][2]
    assert 4 * len(boxes) < len(far)
    ratio = np.median(sides(boxes)) / np.median(sides(far))
    assert 1.8 < ratio < 4  # one field is older than the other


def test_some_seedlings_touch_and_none_hides_another(seedling_fields):
    nearest = []
    for _, points, _ in seedling_fields:
        apart = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
        np.fill_diagonal(apart, np.inf)
        nearest.append(apart.min())
    assert min(nearest) < 20
    assert min(nearest) > 10


def test_colour_alone_miscounts_seedlings(seedling_fields):
    truths = [points for _, points, _ in seedling_fields]
    found = [threshold_points(image) for image, _, _ in seedling_fields]
    errors = count_errors([*map(len, found)], [*map(len, truths)])
    scores = localization_scores(found, truths, tolerance=8)
    assert errors["count_relative_error"] > 0.15
    assert 0.15 < scores["f1"] < 0.5


@pytest.mark.parametrize("size", [(2, 2), (2, 300), (17, 5)])
def test_small_and_narrow_fields_of_seedlings_can_be_drawn(size):
    image, points, boxes = drawn.seedling_field(size, seed=0)
    assert image.shape[:2] == size
    assert points.shape == (len(boxes), 2)


def test_a_data_set_of_seedlings_is_written_with_its_points(tmp_path):
    images = drawn.write_seedling_field(
        tmp_path / "field", num_images=3, size=(90, 120), seed=2
    )
    paths = list_images(images)
    assert list(paths) == ["seedlings_000", "seedlings_001", "seedlings_002"]
    labels = read_points_csv(images / "points.csv", paths)
    headers = {path: image_io.read_header(path) for path in labels}
    assert check_points_inside(labels, headers) == []
    image, points, _ = drawn.seedling_field((90, 120), seed=(2, 1))
    read = labels[paths["seedlings_001"]].points
    ordered = points[np.lexsort(points.T[::-1])]
    np.testing.assert_allclose(read, ordered, atol=0.1)
    written = image_io.read_image(paths["seedlings_001"], channels=3)
    assert np.abs(written.astype(int) - image).mean() < 10


def test_a_field_without_seedlings_has_a_row_of_its_name(tmp_path):
    images = drawn.write_seedling_field(tmp_path, 1, size=(2, 2), seed=1)
    assert (images / "points.csv").read_text() == "seedlings_000\n"
