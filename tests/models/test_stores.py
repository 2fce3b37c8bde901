"""Whole images in a cache give what patches do: only the disk differs."""

import csv
import filecmp
import hashlib
import json
import math
import pickle

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import keras_patching as kp
from keras_patching.cli import main
from keras_patching.data import export_copy, export_patches
from keras_patching.data.images.image_io import write_image
from keras_patching.data.inspection.contact_sheet import contact_sheet
from keras_patching.data.inspection.contents import CacheContents
from keras_patching.data.inspection.report import describe

SIZES = ((19, 50), (7, 21), (32, 16))  # of which one is lower than a patch
PATCH = (10, 16)
STORES = ("patches", "images")


def draw_folder(folder, sizes=SIZES, seed=0):
    """Images with masks of 3 classes, 255 where unlabelled, and points."""
    rng = np.random.default_rng(seed)
    for name in ("images", "masks", "heatmaps"):
        (folder / name).mkdir()
    rows = []
    for i, size in enumerate(sizes):
        image = rng.integers(1, 256, (*size, 3)).astype("uint8")
        mask = rng.choice([0, 0, 0, 0, 0, 0, 1, 2, 255], size).astype("uint8")
        mask[:, : size[1] // 2] = 0
        mask[-1, -1] = 1
        write_image(folder / f"images/{i}.png", image)
        write_image(folder / f"masks/{i}.png", mask)
        np.save(folder / f"heatmaps/{i}.npy", rng.random(size) / 99)
        points = rng.random((3 * i + 1, 2)) * size[::-1]
        rows.append([f"{i}.png", *points.ravel()])
    with open(folder / "points.csv", "w", newline="") as stream:
        csv.writer(stream).writerows(rows)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stores")
    draw_folder(folder)
    return folder


def make_net(channels, activation):
    layer = keras.layers.Conv2D(channels, 1, activation=activation)
    return keras.Sequential([keras.Input((None, None, 3)), layer])


def load_masks(folder, **kwargs):
    return kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        **{
            "patch_size": PATCH,
            "num_classes": 3,
            "ignore_value": 255,
            "verbose": False,
            "seed": 3,
            **kwargs,
        },
    )


def load_points(folder, **kwargs):
    return kp.load_heatmap_dataset_with_csv_from_directory(
        folder / "images",
        folder / "points.csv",
        **{"patch_size": PATCH, "verbose": False, "seed": 3, **kwargs},
    )


def load_heatmaps(folder, **kwargs):
    return kp.load_heatmap_dataset_with_heatmap_files_from_directory(
        folder / "images",
        folder / "heatmaps",
        **{"patch_size": PATCH, "verbose": False, "seed": 3, **kwargs},
    )


LOADERS = {
    "masks": load_masks,
    "points": load_points,
    "heatmaps": load_heatmaps,
}
HOW = {
    "as it is": {},
    "augmented": {"augment": True},
    "resized": {"resize": 0.7},
    "normalized": {"normalize": "zscore"},
    "as float": {"dtype": "float32"},
    "padded with grey": {"value_range": (1, 255)},
    "grey": {"channels": "grayscale"},
    "mirrored": {"pad_mode": "reflect"},
    "with more foreground": {"foreground_fraction": 0.9},
    "without background": {"keep_empty": 0.0},
    "in blocks": {
        "split_by": "blocks",
        "validation_split": 0.3,
        "subset": "training",
        "guard": 0,
    },
}


def assert_same(first, second, epochs=2):
    assert first.num_samples == second.num_samples
    assert first.label_keys == second.label_keys
    for epoch in range(epochs):
        first.epoch = second.epoch = epoch
        for i in range(len(first)):
            for a, b in zip(first[i], second[i], strict=True):
                assert a.dtype == b.dtype
                np.testing.assert_array_equal(a, b)


# Loaders of counts have no `pad_mode`.
CASES = [
    (labels, how)
    for labels in LOADERS
    for how in HOW
    if how != "mirrored" or labels == "masks"
]


@pytest.mark.parametrize(("labels", "how"), CASES)
def test_both_stores_give_the_same_batches(folder, labels, how):
    first, second = (
        LOADERS[labels](folder, batch_size=3, store=store, **HOW[how])
        for store in STORES
    )
    assert first.manifest_path != second.manifest_path
    assert_same(first, second)


@given(
    sizes=st.lists(
        st.tuples(*[st.integers(5, 40)] * 2), min_size=1, max_size=3
    ),
    patch_size=st.tuples(*[st.integers(1, 25)] * 2),
    labels=st.sampled_from(list(LOADERS)),
)
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow])
def test_images_and_patches_may_have_any_size(
    tmp_path_factory, sizes, patch_size, labels
):
    folder = tmp_path_factory.mktemp("any")
    draw_folder(folder, sizes)
    assert_same(
        *(
            LOADERS[labels](folder, patch_size=patch_size, store=store)
            for store in STORES
        ),
        epochs=1,
    )


@pytest.mark.parametrize("labels", LOADERS)
def test_a_cache_of_images_is_shown_and_exported_as_one_of_patches(
    folder, labels, tmp_path
):
    paths = [
        LOADERS[labels](folder, store=store).manifest_path for store in STORES
    ]
    contents = [CacheContents(path) for path in paths]
    patches, images = map(describe, contents)
    for line in patches.splitlines()[1:]:
        if "on disk" not in line:
            assert line in images
    np.testing.assert_array_equal(*map(read_all, contents))
    for path, store in zip(paths, STORES, strict=True):
        export_patches(path, tmp_path / store, verbose=False)
    names = [
        sorted(
            str(file.relative_to(tmp_path / store))
            for file in (tmp_path / store).rglob("*.*")
        )
        for store in STORES
    ]
    assert names[0] == names[1]
    _, differing, missing = filecmp.cmpfiles(
        *(tmp_path / store for store in STORES), names[0], shallow=False
    )
    assert not differing + missing
    copy = export_copy(paths[1], tmp_path / "copy", verbose=False)
    assert_same(*(kp.PatchingSequence(p, seed=0) for p in (paths[1], copy)))


def read_all(contents):
    sheet = contact_sheet(contents)
    return sheet[40:]  # Below the name of the manifest.


@pytest.mark.parametrize("labels", LOADERS)
def test_the_bytes_of_both_stores_are_told_and_those_of_one_are_written(
    tmp_path, labels, capsys
):
    draw_folder(tmp_path)
    sequence = LOADERS[labels](tmp_path, store="images", verbose=True)
    pixels = sum(map(math.prod, SIZES))
    per_pixel = 3 + (1 if labels == "masks" else 4)
    headers = 6 * 128
    told = f'{(pixels * per_pixel + headers) / 1000:.3g} kB with store="images"'
    assert told in capsys.readouterr().out
    files = [path.name for path in sequence.directory.rglob("*.npy")]
    assert sum(".whole_" in name for name in files) == 6
    assert not [name for name in files if ".images." in name]


def test_tasks_share_whole_images(tmp_path):
    draw_folder(tmp_path)
    for load in LOADERS.values():
        for patch_size in (8, 12):
            load(tmp_path, store="images", patch_size=patch_size)
    shards = (tmp_path / "images_patches/shards").glob("*.whole_images.npy")
    assert len(list(shards)) == len(SIZES)


def test_another_patch_size_counts_its_own_classes(tmp_path):
    draw_folder(tmp_path)
    for patch_size in (8, 12):
        counted = [
            CacheContents(
                load_masks(
                    tmp_path, store=store, patch_size=patch_size
                ).manifest_path
            ).class_pixels
            for store in STORES
        ]
        np.testing.assert_array_equal(*counted)


def test_a_changed_mask_is_read_again(tmp_path):
    draw_folder(tmp_path)
    before = load_masks(tmp_path, store="images", shuffle=False)[0][1]
    (tmp_path / "masks/0.png").unlink()
    write_image(tmp_path / "masks/0.png", np.full(SIZES[0], 2, "uint8"))
    after = load_masks(tmp_path, store="images", shuffle=False)[0][1]
    assert (after[0] == 2).all()
    assert (before[0] != 2).any()


def test_masks_that_are_drawn_and_masks_that_are_not_there(tmp_path):
    draw_folder(tmp_path)
    (tmp_path / "masks/1.png").unlink()
    (height, width), corners = SIZES[0], [3, 2, 40, 2, 9, 17]
    coco = {
        "images": [
            {"id": 7, "file_name": "0.png", "width": width, "height": height}
        ],
        "categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}],
        "annotations": [
            {
                "id": 1,
                "image_id": 7,
                "category_id": 2,
                "segmentation": [corners],
            }
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(coco))
    for labels in ("masks", "coco.json"):
        tiles, whole = (
            kp.load_dataset_from_directory_with_segmentation_masks(
                tmp_path / "images",
                tmp_path / labels,
                PATCH,
                num_classes=3,
                ignore_value=255,
                unlabelled="empty",
                seed=0,
                store=store,
                verbose=False,
            )
            for store in STORES
        )
        assert_same(tiles, whole)


@pytest.mark.parametrize("load", [*LOADERS.values()], ids=[*LOADERS])
def test_a_store_that_is_none_is_refused(folder, load):
    with pytest.raises(ValueError, match="Received: store='windows'"):
        load(folder, store="windows")


def test_models_hand_the_store_on(tmp_path):
    draw_folder(tmp_path)
    masks = kp.SemanticSegmentationModel(
        3, make_net(3, "softmax"), patch_size=16, ignore_value=255
    )
    counts = kp.HeatmapObjectCountingModel(make_net(1, "relu"), patch_size=16)
    images = tmp_path / "images"
    for load, labels in (
        (masks.load_dataset_from_directory_with_segmentation_masks, "masks"),
        (
            counts.load_dataset_from_directory_with_segmentation_masks,
            "heatmaps",
        ),
        (counts.load_heatmap_dataset_with_csv_from_directory, "points.csv"),
    ):
        loaded = load(images, tmp_path / labels, store="images", verbose=False)
        assert loaded.parameters["store"] == "images"


def test_the_command_saves_whole_images(tmp_path, capsys):
    draw_folder(tmp_path)
    main(
        f"patch {tmp_path / 'images'} {tmp_path / 'masks'} --patch-size 10 16 "
        "--num-classes 3 --ignore-value 255 --store images".split()
    )
    assert 'with store="images"' in capsys.readouterr().out
    sequence = kp.PatchingSequence(tmp_path / "images_patches", seed=3)
    assert_same(sequence, load_masks(tmp_path, store="patches"))


def test_a_crafted_manifest_of_labels_is_refused(tmp_path):
    draw_folder(tmp_path)
    path = load_masks(tmp_path, store="images").manifest_path
    text = path.read_text().rpartition(',"sha256"')[0]
    for old, new, problem in (
        ('"ignore_value":255', '"ignore_value":256', "cannot hold.* 256"),
        (
            '"ignore_value":255',
            '"ignore_value":-1',
            "`ignore_value` is no class",
        ),
        (
            '"ignore_value":255',
            '"ignore_value":"a"',
            "`ignore_value` is no class",
        ),
        ('"store":', '"pad_mode":"wrap","store":', "'wrap' is no `pad_mode`"),
        ('"shape":[1,1,19,50],', '"shape":[1,1,50,19],', "whole_masks of 0"),
        (
            '"dtype":"uint8","facts":{"p',
            '"dtype":"float64","facts":{"p',
            "float",
        ),
    ):
        assert text.count(old) >= 1
        head = text.replace(old, new, 1).encode()
        digest = hashlib.sha256(head).hexdigest()
        path.write_bytes(head + f',"sha256":"{digest}"}}'.encode())
        with pytest.raises(ValueError, match=problem):
            kp.PatchingSequence(path)


def test_patches_by_number_are_cut_in_other_processes_too(folder):
    source = load_masks(folder, store="images").to_grain()
    again = pickle.loads(pickle.dumps(source))
    expected = load_masks(folder, store="patches").to_grain()
    for i in range(len(expected)):
        for each in (source, again):
            for a, b in zip(each[i], expected[i], strict=True):
                np.testing.assert_array_equal(a, b)
