"""Crops lie at other places in each epoch, and show the pixels that lie there.

The pixels of the images here tell where they are: crops are known by them.
"""

import itertools
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import keras_patching as kp
from keras_patching.data.feeding.kept_patches import parts_of_image
from keras_patching.data.feeding.sequence_identity import identify

PATCH = (8, 10)
SIZES = ((40, 61), (33, 8), (8, 30), (64, 64))  # one is narrower than a patch
EPOCHS = 40


def mask_at(y, x, image):
    """Class 1 in few pixels, class 2 in the last image, 9 in some."""
    rare = (y // 6 + x // 6) % 7 == 3
    mask = np.where(rare, 1, 0) + 0 * image
    return np.where((image == 3) & rare, 2, np.where(y % 13 == 5, 9, mask))


def points_of(image):
    height, width = SIZES[image]
    rng = np.random.default_rng(image)
    count = height * width // 150
    return np.floor(rng.random((count, 2)) * (height, width)) + 0.5


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crops")
    for name in ("images", "masks", "heatmaps"):
        (folder / name).mkdir()
    rows = ["image,x,y"]
    for i, size in enumerate(SIZES):
        y, x = np.indices(size)
        image = np.stack([y, x, np.full(size, i)], axis=-1) + 1
        mask, heatmap = mask_at(y, x, i), np.zeros(size)
        for py, px in points_of(i):
            rows.append(f"{i},{px},{py}")
            heatmap[int(py), int(px)] += 1
        np.save(folder / f"images/{i}.npy", image.astype("uint8"))
        np.save(folder / f"masks/{i}.npy", mask.astype("uint8"))
        np.save(folder / f"heatmaps/{i}.npy", heatmap.astype("float32"))
    (folder / "points.csv").write_text("\n".join(rows))
    return folder


def load(folder, labels="masks", **kwargs):
    options = {
        "patch_size": PATCH,
        "store": "images",
        "seed": 5,
        "random_crops": True,
        "verbose": False,
        **kwargs,
    }
    images = folder / "images"
    if labels == "masks":
        return kp.load_dataset_from_directory_with_segmentation_masks(
            images, folder / "masks", num_classes=3, ignore_value=9, **options
        )
    if labels == "points":
        return kp.load_heatmap_dataset_with_csv_from_directory(
            images, folder / "points.csv", density_map_sigma=0.01, **options
        )
    return kp.load_heatmap_dataset_with_heatmap_files_from_directory(
        images, folder / "heatmaps", **options
    )


def crops_of(sequence, epochs=1):
    """Give the crops of epochs: source, y and x, and the arrays of each."""
    found = []
    for epoch in range(epochs):
        sequence.epoch = epoch
        for batch in sequence:
            for image, label in zip(*batch, strict=True):
                y, x, source = (image[0, 0].astype(int) - 1).tolist()
                found.append((source, y, x, image, label))
    return found


@pytest.mark.parametrize("labels", ["masks", "points", "heatmaps"])
def test_crops_are_windows_of_images_and_labels(folder, labels):
    crops = crops_of(load(folder, labels), epochs=2)
    for source, y, x, image, label in crops:
        height, width = SIZES[source]
        rows, cols = np.indices(PATCH) + np.reshape((y, x), (2, 1, 1))
        inside = (rows < height) & (cols < width)
        expected = np.stack([rows, cols, np.full(PATCH, source)], axis=-1) + 1
        np.testing.assert_array_equal(image, expected * inside[..., None])
        # Only an image that is narrower is padded.
        assert inside[: min(height, PATCH[0]), : min(width, PATCH[1])].all()
        if labels == "masks":
            mask = np.where(inside, mask_at(rows, cols, source), 9)
            np.testing.assert_array_equal(label, mask)
        else:
            heatmap = np.zeros(PATCH)
            for place in np.floor(points_of(source)).astype(int) - (y, x):
                if (place >= 0).all() and (place < PATCH).all():
                    heatmap[tuple(place)] += 1
            np.testing.assert_array_equal(label, heatmap)


def test_an_epoch_has_as_many_crops_as_tiles_each_elsewhere(folder):
    sequence, tiles = load(folder), load(folder, random_crops=False)
    assert sequence.num_samples == tiles.num_samples
    places = [
        [crop[:3] for crop in crops_of(each, epochs=1)]
        for each in (sequence, tiles)
    ]
    counts = [np.bincount(np.array(each)[:, 0]).tolist() for each in places]
    assert counts[0] == counts[1]
    sequence.epoch = 1
    (images, _), again = sequence[0], load(folder)
    assert not np.array_equal(images, again[0][0])
    again.epoch = 1
    np.testing.assert_array_equal(images, again[0][0])
    other = load(folder, seed=6)
    other.epoch = 1
    assert not np.array_equal(images, other[0][0])


def test_a_batch_depends_on_seed_epoch_and_index_only(folder):
    kwargs = {"batch_size": 4, "foreground_fraction": 0.5}
    sequence = load(folder, **kwargs)
    expected = [sequence[i] for i in range(len(sequence))]
    again = pickle.loads(pickle.dumps(load(folder, **kwargs)))
    again.on_epoch_begin()  # now threads read ahead
    for i in itertools.chain(range(len(again)), (3, 1)):
        for found, batch in zip(again[i], expected[i], strict=True):
            np.testing.assert_array_equal(found, batch)
    again.on_epoch_end()
    shard = load(folder, drop_remainder=True, **kwargs).shard(1, 2)
    np.testing.assert_array_equal(shard[1][0], expected[1][0][2:])


def test_processes_see_whether_others_cut_the_same_crops(folder):
    first, again, tiles = (
        identify(load(folder, random_crops=random)) for random in (1, 1, 0)
    )
    assert first == again
    assert first != tiles


@pytest.mark.parametrize("shuffle", [True, False])
def test_processes_compare_seeds_of_any_size(folder, shuffle):
    first, other = (
        identify(load(folder, seed=seed, shuffle=shuffle))
        for seed in (5, 5 + 2**32)
    )
    assert max(other.values()) < 2**32
    assert first != other


def coverage(length, patch):
    """Give how often each pixel along an axis is seen, by all shifts."""
    seen = np.zeros(length)
    for tile in range(0, length, patch):
        for shift in range(patch):
            first = np.clip(tile + shift - patch // 2, 0, length - patch)
            seen[first : first + patch] += 1 / patch
    return seen


@given(
    st.integers(1, 20).flatmap(
        lambda p: st.tuples(st.integers(p, 90), st.just(p))
    )
)
def test_each_pixel_is_seen_about_once(sizes):
    length, patch = sizes
    seen = coverage(length, patch)
    assert seen.min() >= 0.5 - 1e-9
    assert seen.max() <= 2.5 + 1e-9
    far = seen[2 * patch : max(length - 2 * patch, 0)]
    np.testing.assert_allclose(far, 1)


def test_crops_are_spread_as_shifts_are(folder):
    seen = np.zeros(SIZES[3])
    crops = crops_of(load(folder), EPOCHS)
    for source, y, x, _, _ in crops:
        if source == 3:
            seen[y : y + PATCH[0], x : x + PATCH[1]] += 1 / EPOCHS
    down, across = (
        coverage(length, patch)
        for length, patch in zip(SIZES[3], PATCH, strict=True)
    )
    # A Bernoulli count of `EPOCHS` differs from its mean by far less.
    assert np.abs(seen - np.outer(down, across)).max() < 5 / EPOCHS**0.5
    assert np.abs(seen - np.outer(down, across)).mean() < 0.7 / EPOCHS**0.5


@pytest.mark.parametrize("guard", [0, 3])
def test_crops_stay_in_their_part_of_a_split(folder, guard):
    blocks = {
        "split_by": "blocks",
        "validation_split": 0.2,
        "subset": "both",
        "guard": guard,
    }
    train, val = load(folder, **blocks)
    tiles, _ = load(folder, random_crops=False, **blocks)
    assert train.num_samples == tiles.num_samples
    held_out = {
        (source, y, x, image.tobytes())
        for source, y, x, image, _ in crops_of(val)
    }
    plain = load(folder, random_crops=False, shuffle=False)
    all_tiles = {
        (source, y, x, image.tobytes())
        for source, y, x, image, _ in crops_of(plain)
    }
    assert held_out < all_tiles  # Validation sees tiles.
    assert kp.check_leakage(train, val, verbose=False).seen == 0
    split = kp.data.BlockSplit(0.2, seed=5, guard=guard)
    moved = 0
    for source, y, x, _, _ in crops_of(train, 3):
        (part,) = parts_of_image(
            split, f"{source}.npy", SIZES[source], PATCH, [(y, x)], True
        )
        assert part == 0
        moved += y % PATCH[0] > 0 or x % PATCH[1] > 0
    assert moved > train.num_samples


@pytest.mark.parametrize("guard", [None, 0, 3])
def test_the_boxes_are_all_that_crops_may_show(folder, guard):
    split = guard is not None and kp.data.BlockSplit(0.2, seed=5, guard=guard)
    path = load(folder).manifest_path
    feed = {"path": path, "split": split or None}
    train = kp.PatchingSequence(random_crops=True, **feed)
    tiles = kp.PatchingSequence(**feed)
    assert train.image_names == tiles.image_names
    for name, boxes in train.patch_boxes().items():
        size = SIZES[int(name[0])]
        shown, expected = np.zeros((2, *size), bool)
        for x1, y1, x2, y2 in boxes:
            shown[y1:y2, x1:x2] = True
        for x1, y1, x2, y2 in tiles.patch_boxes()[name]:
            expected[y1:y2, x1:x2] = True
            places = np.array(reachable(y1, x1, size))
            if split:
                where = name, size, PATCH, places, True
                places = places[parts_of_image(split, *where) == 0]
            for y, x in places:
                expected[y : y + PATCH[0], x : x + PATCH[1]] = True
        np.testing.assert_array_equal(shown, expected)


def reachable(y, x, size):
    axes = (
        {
            int(np.clip(first + shift - patch // 2, 0, max(length - patch, 0)))
            for shift in range(patch)
        }
        for first, patch, length in zip((y, x), PATCH, size, strict=True)
    )
    return list(itertools.product(*axes))


HOLDS = {
    "masks": lambda mask: np.isin(mask, (1, 2)).any(),
    "points": lambda heatmap: heatmap.sum() >= 0.5,
    "heatmaps": lambda heatmap: heatmap.sum() >= 0.5,
}


@pytest.mark.parametrize("labels", HOLDS)
def test_fractions_are_of_what_crops_hold(folder, labels):
    for fraction in (0.0, 0.3, 1.0):
        crops = crops_of(load(folder, labels, foreground_fraction=fraction), 2)
        held = [HOLDS[labels](label) for *_, label in crops]
        assert sum(held) == 2 * round(fraction * len(held) / 2)
    kept = crops_of(load(folder, labels, keep_empty=0))
    assert all(HOLDS[labels](label) for *_, label in kept)
    tiles = load(folder, labels, keep_empty=0, random_crops=False)
    assert len(kept) == tiles.num_samples
    places = {crop[:3] for crop in kept}
    assert len(places) > 0.9 * len(kept)


def test_crops_hold_the_classes_that_are_wanted(folder):
    sequence = load(folder, foreground_fraction=1.0, foreground_classes=[2])
    crops = crops_of(sequence)
    assert all((label == 2).any() for *_, label in crops)
    # Repeated tiles are seen at several places.
    assert len({crop[:3] for crop in crops}) > 0.7 * len(crops)


def test_all_labels_of_an_epoch_are_those_of_its_crops(folder):
    sequence = load(folder, batch_size=1000)
    sequence.epoch = 4
    np.testing.assert_array_equal(sequence.read_labels(), sequence[0][1])


def test_crops_of_patches_are_refused_before_anything_is_cut(folder, tmp_path):
    with pytest.raises(ValueError, match=r'pass store="images"'):
        load(folder, store="patches", cache_dir=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    tiles = load(folder, store="patches", random_crops=False).manifest_path
    with pytest.raises(ValueError, match=r"images and masks of patches.*store"):
        kp.PatchingSequence(tiles, random_crops=True)


def test_patches_of_a_detector_are_drawn_otherwise(folder):
    (folder / "boxes.csv").write_text(
        "image,xmin,ymin,xmax,ymax,label\n"
        + "".join(f"{i}.npy,1,1,6,6,a\n" for i in range(len(SIZES)))
    )
    boxes = kp.load_yolo_dataset_from_directory(
        folder / "boxes.csv",
        folder / "images",
        8,
        grid_size=1,
        store="images",
        verbose=False,
    )
    with pytest.raises(ValueError, match=r"callbacks\.ResamplePatches` draws"):
        kp.PatchingSequence(boxes.manifest_path, random_crops=True)
