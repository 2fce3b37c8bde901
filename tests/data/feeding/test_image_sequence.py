"""Whole images and crops are fed as they are, with weight 0 beyond them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import keras_patching as kp

SIZES = {"a.png": (9, 14), "b.png": (16, 10), "c.png": (16, 14)}


def draw(name, channels=3):
    rng = np.random.default_rng(sorted(SIZES).index(name))
    image = rng.integers(1, 256, (*SIZES[name], channels)).astype("uint8")
    return image, (image[..., 0] % 2).astype("uint8")


def load(folder, store="images", **options):
    return kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        patch_size=8,
        store=store,
        verbose=False,
        **options,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    for name in SIZES:
        for part, array in zip(("images", "masks"), draw(name), strict=True):
            (folder / part).mkdir(exist_ok=True)
            kp.data.write_image(folder / part / name, array)
    return folder


@pytest.fixture(scope="module")
def manifest(folder):
    return load(folder).manifest_path


def padded(array, size, value=0):
    width = [(0, size[0] - array.shape[0]), (0, size[1] - array.shape[1])]
    return np.pad(
        array, width + [(0, 0)] * (array.ndim - 2), constant_values=value
    )


def test_images_are_padded_to_the_largest_with_weight_0(manifest):
    sequence = kp.ImageSequence(manifest, batch_size=2, shuffle=False)
    assert sequence.image_size == (16, 14)
    assert sequence.is_padded
    assert sequence.num_samples == 3
    batches = list(sequence)
    assert [len(images) for images, _, _ in batches] == [2, 1]
    images, masks, weights = (
        np.concatenate(each) for each in zip(*batches, strict=True)
    )
    assert (images.dtype, masks.dtype, weights.dtype) == (
        np.uint8,
        np.uint8,
        np.float32,
    )
    for index, name in enumerate(sequence.image_names):
        image, mask = draw(name)
        ones = np.ones(mask.shape)
        for found, array in (
            (images, image),
            (masks, mask),
            (weights, ones),
        ):
            expected = padded(array, (16, 14))
            np.testing.assert_array_equal(found[index], expected)


def test_images_of_one_size_have_no_weights(manifest):
    sequence = kp.ImageSequence(manifest, names=["c.png"])
    assert not sequence.is_padded
    images, masks = sequence[0]
    for found, expected in zip((images, masks), draw("c.png"), strict=True):
        np.testing.assert_array_equal(found[0], expected)


def test_sizes_are_rounded_up_to_multiples(manifest):
    sequence = kp.ImageSequence(manifest, names=["c.png"], multiple_of=(5, 4))
    assert sequence.image_size == (20, 16)
    _, _, weights = sequence[0]
    np.testing.assert_array_equal(
        weights[0], padded(np.ones((16, 14)), (20, 16))
    )


def test_each_image_may_keep_its_own_size(manifest):
    sequence = kp.ImageSequence(manifest, shuffle=False, same_size=False)
    assert sequence.image_size is None
    for name, (images, masks) in zip(
        sequence.image_names, sequence, strict=True
    ):
        for found, expected in zip((images, masks), draw(name), strict=True):
            np.testing.assert_array_equal(found[0], expected)
    even = kp.ImageSequence(
        manifest, shuffle=False, same_size=False, multiple_of=2
    )
    assert [batch[2].shape[1:] for batch in even] == [
        (10, 14),
        (16, 10),
        (16, 14),
    ]
    for options in ({"batch_size": 2}, {"crop_size": 4}):
        with pytest.raises(ValueError, match="one per batch"):
            kp.ImageSequence(manifest, same_size=False, **options)


def places_of(crop, image):
    """Where a crop lies in an image of values that are nowhere alike."""
    windows = np.lib.stride_tricks.sliding_window_view(
        image, crop.shape[:2], (0, 1)
    )
    same = (windows == np.moveaxis(crop, -1, 0)).all(axis=(2, 3, 4))
    return np.argwhere(same).tolist()


@settings(max_examples=20)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 9))
def test_crops_lie_in_their_images_and_labels_go_with_them(
    manifest, height, width, epoch
):
    sequence = kp.ImageSequence(
        manifest, crop_size=(height, width), shuffle=False, seed=3
    )
    sequence.epoch = epoch
    counts = [-(-h * w // (height * width)) for h, w in SIZES.values()]
    assert len(sequence) == sum(counts)
    names = np.repeat(sequence.image_names, counts)
    for name, (images, masks, *weights) in zip(names, sequence, strict=True):
        (rows, cols), (image, mask) = SIZES[name], draw(name)
        rows, cols = min(rows, height), min(cols, width)
        inside = images[0, :rows, :cols]
        y, x = places_of(inside, image)[0]
        np.testing.assert_array_equal(
            masks[0], padded(mask[y : y + rows, x : x + cols], (height, width))
        )
        np.testing.assert_array_equal(
            images[0], padded(inside, (height, width))
        )
        assert bool(weights) == (height > 9 or width > 10)
        for weight in weights:
            expected = padded(np.ones((rows, cols)), (height, width))
            np.testing.assert_array_equal(weight[0], expected)


def arrays(sequence):
    return [[each.copy() for each in batch] for batch in sequence]


def test_crops_are_others_in_each_epoch_and_the_same_again(manifest):
    options = dict(crop_size=6, crops_per_image=5, batch_size=3, seed=1)
    sequence = kp.ImageSequence(manifest, augment=True, **options)
    assert sequence.num_samples == 15
    first = arrays(sequence)
    again = kp.ImageSequence(manifest, augment=True, **options)
    for index in (4, 0, 3, 1, 2):
        for found, expected in zip(again[index], first[index], strict=True):
            np.testing.assert_array_equal(found, expected)
    sequence.epoch = 1
    assert not np.array_equal(sequence[0][0], first[0][0])


def test_augmentation_moves_labels_and_weights_with_the_pixels(manifest):
    sequence = kp.ImageSequence(
        manifest, batch_size=3, multiple_of=16, augment=True, seed=0
    )
    turned = set()
    for epoch in range(4):
        sequence.epoch = epoch
        images, masks, weights = sequence[0]
        assert images.shape == (3, 16, 16, 3)
        np.testing.assert_array_equal(images.any(axis=-1), weights == 1)
        assert not masks[weights == 0].any()
        turned |= {tuple(np.argwhere(each == 1)[0]) for each in weights}
        shown = sorted(each.sum() for each in weights)
        assert shown == sorted(h * w for h, w in SIZES.values())
    assert len(turned) > 2


def test_a_function_augments_what_a_batch_holds(manifest):
    def brighter(images, masks, weights):
        return images + 1, masks, weights * 2

    sequence = kp.ImageSequence(manifest, shuffle=False, augment=brighter)
    images, _, weights = sequence[0]
    assert weights.max() == 2
    np.testing.assert_array_equal(
        images[0], padded(draw("a.png")[0], (16, 14)) + 1
    )


def test_a_function_that_loses_the_weights_of_padding_is_refused(manifest):
    sequence = kp.ImageSequence(manifest, augment=lambda *batch: batch[:2])
    with pytest.raises(ValueError, match="padding would be trained on"):
        sequence[0]
    alike = kp.ImageSequence(
        manifest, names=["c.png"], augment=lambda *batch: batch[:2]
    )
    assert len(alike[0]) == 2


def test_shards_of_a_batch_are_the_batch(manifest):
    options = dict(crop_size=6, crops_per_image=4, batch_size=4, seed=1)
    whole = kp.ImageSequence(manifest, augment=True, **options)
    parts = [whole.shard(index, 2) for index in range(2)]
    for index in range(len(whole)):
        for expected, *found in zip(
            whole[index], *(part[index] for part in parts), strict=True
        ):
            np.testing.assert_array_equal(np.concatenate(found), expected)


def test_single_images_are_given_by_their_number(manifest):
    source = kp.ImageSequence(manifest, batch_size=2).to_grain()
    image, _, weights = source[1]
    np.testing.assert_array_equal(image, padded(draw("b.png")[0], (16, 14)))
    assert weights.sum() == 16 * 10


@pytest.mark.parametrize("same_size", [True, False])
def test_tf_data_gives_the_same_batches(manifest, same_size):
    pytest.importorskip("tensorflow")
    sequence = kp.ImageSequence(
        manifest, same_size=same_size, multiple_of=3, seed=0
    )
    for found, expected in zip(sequence.to_tf_dataset(), sequence, strict=True):
        for tensor, array in zip(found, expected, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), array)


def test_heatmaps_keep_their_sum(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    rows = []
    for name, (height, width) in SIZES.items():
        kp.data.write_image(folder / name, draw(name)[0])
        rows.append(f"{name},0.5,0.5,{width - 0.5},{height - 0.5}")
    (folder / "points.csv").write_text("\n".join(rows))
    patches = kp.load_heatmap_dataset_with_csv_from_directory(
        folder, "points.csv", patch_size=8, store="images", verbose=False
    )
    sequence = kp.ImageSequence(patches.manifest_path, batch_size=3)
    _, heatmaps, weights = sequence[0]
    assert heatmaps.shape == weights.shape == (3, 16, 14)
    np.testing.assert_allclose(heatmaps.sum(axis=(1, 2)), 2, rtol=1e-5)
    assert not heatmaps[weights == 0].any()


def test_padding_of_masks_has_no_label(folder, tmp_path):
    sequence = kp.ImageSequence(
        load(folder, ignore_value=255, cache_dir=tmp_path).manifest_path
    )
    for _, masks, weights in sequence:
        np.testing.assert_array_equal(masks == 255, weights == 0)


def test_what_cannot_be_fed_whole_is_refused(folder, tmp_path):
    patches = load(folder, store="patches", cache_dir=tmp_path / "patches")
    with pytest.raises(ValueError, match='store="images"'):
        kp.ImageSequence(patches.manifest_path)
    (tmp_path / "boxes.csv").write_text(
        "image,xmin,ymin,xmax,ymax,label\n"
        + "\n".join(f"{name},1,1,5,5,x" for name in SIZES)
    )
    boxes = kp.load_yolo_dataset_from_directory(
        tmp_path / "boxes.csv",
        folder / "images",
        patch_size=8,
        grid_size=2,
        store="images",
        cache_dir=tmp_path / "boxes",
        verbose=False,
    )
    with pytest.raises(ValueError, match=r"holds boxes and labels.*detector"):
        kp.ImageSequence(boxes.manifest_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"crop_size": 0}, "`crop_size` must be positive"),
        ({"crop_size": "image"}, "`crop_size`"),
        ({"multiple_of": (4, 0)}, "`multiple_of` must be positive"),
        (
            {"crop_size": (8, 6), "multiple_of": 4},
            r"such as \(8, 8\)\. Received: crop_size=\(8, 6\), multiple_of",
        ),
        ({"crop_size": 4, "crops_per_image": 0}, "`crops_per_image` must be"),
        ({"crops_per_image": 2}, "`crops_per_image` .* `crop_size`"),
    ],
)
def test_arguments_that_mean_nothing_are_refused(manifest, options, message):
    with pytest.raises(ValueError, match=message):
        kp.ImageSequence(manifest, **options)


def test_whole_images_may_be_checked_for_leaks(manifest):
    train, val = (
        kp.ImageSequence(manifest, names=names)
        for names in (["a.png", "b.png"], ["b.png", "c.png"])
    )
    report = kp.check_leakage(train, val, verbose=False)
    assert report.pixels == 16 * 10 + 16 * 14
    assert report.seen == 16 * 10
