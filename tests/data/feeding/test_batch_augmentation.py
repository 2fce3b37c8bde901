import numpy as np
import pytest

from keras_patching.data.feeding.batch_augmentation import augment_batch


def make_batch(dtype="uint8", size=(8, 8), count=200):
    rng = np.random.default_rng(0)
    images = rng.integers(1, 200, (count, *size, 3)).astype(dtype)
    return images, images[..., 0].astype("uint8")


def test_image_and_label_move_together():
    images, labels = make_batch()
    images[:] = labels[..., None] > 100
    moved, moved_labels = augment_batch(
        images, labels, np.random.default_rng(0), (0, 255)
    )
    assert (moved_labels != labels).any()
    bright = images.max() * 1.0
    assert bright == 1
    np.testing.assert_array_equal(moved[..., 0] > 0, moved_labels > 100)


def test_every_flip_and_turn_occurs_and_no_pixel_is_lost():
    images, labels = make_batch()
    _, moved = augment_batch(images, labels, np.random.default_rng(0))
    kinds = set()
    for before, after in zip(labels, moved, strict=True):
        kinds |= {
            (turns, flip)
            for turns in range(4)
            for flip in (False, True)
            if (
                np.rot90(before[:, ::-1] if flip else before, turns) == after
            ).all()
        }
    assert len(kinds) == 8


def test_patches_that_are_not_square_keep_their_shape():
    images, labels = make_batch(size=(4, 8))
    moved, moved_labels = augment_batch(
        images, labels, np.random.default_rng(0)
    )
    assert moved.shape == images.shape
    assert moved_labels.shape == labels.shape


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_dtype_and_value_range_are_kept(dtype):
    images, labels = make_batch(dtype)
    moved, _ = augment_batch(images, labels, np.random.default_rng(0), (0, 210))
    assert moved.dtype == images.dtype
    assert moved.min() >= 0
    assert moved.max() == 210
    assert moved.mean() == pytest.approx(images.mean(), rel=0.1)


def test_black_stays_black():
    images, labels = make_batch("float32")
    images[:] = -1
    moved, _ = augment_batch(images, labels, np.random.default_rng(0), (-1, 1))
    assert (moved == -1).all()


def test_the_batch_itself_is_left_alone():
    images, labels = make_batch()
    before = images.copy(), labels.copy()
    augment_batch(images, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(images, before[0])
    np.testing.assert_array_equal(labels, before[1])


def test_dim_images_stay_to_be_seen_and_move_by_their_spread():
    rng = np.random.default_rng(0)
    images = rng.integers(1000, 1040, (50, 8, 8, 1)).astype("uint16")
    labels = np.zeros((50, 8, 8), "uint8")
    moved, _ = augment_batch(images, labels, rng, (0, 65535))
    change = moved.mean(axis=(1, 2, 3)) - images.mean(axis=(1, 2, 3))
    assert 5 < np.abs(change).max() <= 0.25 * 40
    dim = (images - 999).astype("uint8")
    moved, _ = augment_batch(dim, labels, rng, (0, 255))
    assert (moved > 0).all()


def test_images_of_one_value_keep_it():
    images, labels = np.full((9, 8, 8, 3), 7, "uint8"), np.zeros((9, 8, 8))
    moved, _ = augment_batch(images, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(moved, images)


def test_labels_of_several_kinds_move_with_the_pixels():
    images = np.random.default_rng(0).integers(0, 9, (4, 6, 6, 1), "uint8")
    labels = {"first": images[..., 0], "second": images}
    rng = np.random.default_rng(1)
    moved, both = augment_batch(images, labels, rng, value_range=(0, 9))
    expected = augment_batch(images, images, np.random.default_rng(1), (0, 9))
    np.testing.assert_array_equal(moved, expected[0])
    np.testing.assert_array_equal(both["second"], expected[1])
    np.testing.assert_array_equal(both["first"], expected[1][..., 0])


def test_normalized_patches_keep_what_is_beyond_black_and_white():
    rng = np.random.default_rng(0)
    patches = rng.normal(0, 1, (20, 6, 8, 2)).astype("float32")
    patches[:, 4:] = -3  # Padding is black.
    patches[:, 0, 0] = 9
    bright, _ = augment_batch(patches, patches[..., 0], rng, (-3, 3))
    assert (bright == -3).sum() == (patches == -3).sum()
    assert bright.max() == 9
    highest = bright.max(axis=(1, 2, 3))
    assert (highest > 6).all()
    assert len(np.unique(highest)) > 5
