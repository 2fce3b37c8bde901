import numpy as np
import pytest

from keras_patching.data import image_io, plant_drawing, synthetic


def iou(mask, truth):
    return np.sum(mask & truth) / np.sum(mask | truth)


def test_a_field_is_an_image_with_its_mask():
    image, mask = synthetic.plant_field(size=(96, 130), seed=1)
    assert image.shape == (96, 130, 3)
    assert image.dtype == np.uint8
    assert mask.shape == (96, 130)
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 1}


def test_the_same_seed_draws_the_same_field():
    first = synthetic.plant_field(size=(64, 64), seed=5)
    second = synthetic.plant_field(size=(64, 64), seed=5)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)


def test_seeds_and_sizes_draw_other_fields():
    image, _ = synthetic.plant_field(size=(64, 64), seed=5)
    other, _ = synthetic.plant_field(size=(64, 64), seed=6)
    larger, _ = synthetic.plant_field(size=(64, 65), seed=5)
    assert np.mean(image != other) > 0.9
    assert np.mean(image != larger[:, :64]) > 0.9


@pytest.mark.parametrize("size", [(2, 2), (2, 300), (17, 5)])
def test_small_and_narrow_fields_can_be_drawn(size):
    image, mask = synthetic.plant_field(size, seed=0)
    assert image.shape[:2] == mask.shape == size


def test_a_field_without_pixels_is_an_error():
    with pytest.raises(ValueError, match=r"Received: size=\(0, 100\)"):
        synthetic.plant_field(size=(0, 100))


def test_colour_alone_finds_plants_but_does_not_solve_the_task():
    fields = [synthetic.plant_field((384, 512), seed) for seed in range(6)]
    found = np.stack([synthetic.threshold_mask(image) for image, _ in fields])
    truth = np.stack([mask for _, mask in fields])
    assert 0.45 < iou(found, truth) < 0.75
    assert 0.2 < truth.mean() < 0.5


def test_thresholding_separates_a_green_square_from_brown():
    image = np.full((20, 30, 3), (120, 90, 60), "uint8")
    image[5:10, 5:20] = (60, 140, 50)
    mask = synthetic.threshold_mask(image)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, image[..., 1] == 140)


def test_otsu_splits_two_groups_between_them():
    values = np.r_[np.linspace(0, 1, 50), np.linspace(5, 6, 200)]
    assert 1 <= synthetic.otsu_threshold(values) <= 5


def test_a_plant_can_be_drawn_with_a_number_of_its_own():
    rng = np.random.default_rng(0)
    canvas = plant_drawing.draw_soil((200, 300), rng)
    numbers = np.zeros((200, 300), "uint16")
    for number, center in enumerate([(80, 80), (110, 220), (100, 150)], 1):
        plant_drawing.draw_rosette(canvas, numbers, center, 50, rng, number)
    assert set(np.unique(numbers)) == {0, 1, 2, 3}
    y, x = np.nonzero(numbers == 2)
    assert np.hypot(y - 110, x - 220).max() < 70


def test_grass_over_a_plant_is_not_plant():
    rng = np.random.default_rng(0)
    canvas = plant_drawing.draw_soil((100, 100), rng)
    mask = np.ones((100, 100), "uint8")
    plant_drawing.draw_grass(canvas, (50, 50), rng, mask)
    assert 0 < np.mean(mask == 0) < 0.2


def test_a_data_set_is_written_in_pairs(tmp_path):
    images, masks = synthetic.write_plant_field(
        tmp_path / "field", num_images=3, size=(40, 60), seed=2
    )
    assert list(image_io.list_images(images)) == [
        "field_000",
        "field_001",
        "field_002",
    ]
    assert list(image_io.list_images(masks)) == list(
        image_io.list_images(images)
    )
    image, mask = synthetic.plant_field((40, 60), seed=(2, 1))
    np.testing.assert_array_equal(
        image_io.read_mask(masks / "field_001.png"), mask
    )
    written = image_io.read_image(images / "field_001.jpg", channels=3)
    assert np.abs(written.astype(int) - image).mean() < 8


def test_progress_is_shown_on_request(tmp_path, capsys):
    synthetic.write_plant_field(tmp_path, 2, size=(16, 16), verbose=True)
    assert "2/2" in capsys.readouterr().out
