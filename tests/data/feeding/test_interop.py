"""Patches are fed by other programs than Keras: Grain, tf.data, PyTorch."""

import copy
import functools
import json
import pickle
import sys

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.images.image_io import write_image


@pytest.fixture(scope="module")
def caches(tmp_path_factory):
    """A cache of masks, of heatmaps, of boxes, and of whole masks."""
    folder = tmp_path_factory.mktemp("interop")
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    boxes, rows = {}, ["image,x,y"]
    for index in range(3):
        name = f"{index}.png"
        image = rng.integers(1, 256, (16, 24, 3), dtype=np.uint8)
        write_image(folder / "images" / name, image)
        write_image(folder / "masks" / name, (image[..., 0] > 99).view("uint8"))
        boxes[str(index)] = {
            "file_name": name,
            "objects": [
                {"all_points_x": [x, x + 4], "all_points_y": [2, 6]}
                for x in range(1, 5 * index, 5)
            ],
        }
        rows += [f"{name},{3 + 5 * i},4" for i in range(index + 1)]
    (folder / "boxes.json").write_text(json.dumps(boxes))
    (folder / "points.csv").write_text("\n".join(rows))
    images, quiet = folder / "images", {"verbose": False}
    masks, whole = (
        kp.load_dataset_from_directory_with_segmentation_masks(
            images, folder / "masks", 8, store=store, **quiet
        )
        for store in ("patches", "images")
    )
    heatmaps = kp.load_heatmap_dataset_with_csv_from_directory(
        images, folder / "points.csv", 8, density_map_sigma=1.0, **quiet
    )
    found = kp.load_yolo_dataset_from_directory(
        folder / "boxes.json", images, 8, grid_size=2, **quiet
    )
    return {
        "masks": masks.manifest_path,
        "heatmaps": heatmaps.manifest_path,
        "boxes": found.manifest_path,
        "whole masks": whole.manifest_path,
    }


@pytest.fixture(params=["masks", "heatmaps", "boxes", "random crops"])
def feed(request, caches):
    """Make a `PatchingSequence` of a cache."""
    if request.param == "random crops":
        path = caches["whole masks"]
        return functools.partial(kp.PatchingSequence, path, random_crops=True)
    return functools.partial(kp.PatchingSequence, caches[request.param])


def same(one, other):
    for a, b in zip(
        keras.tree.flatten(one), keras.tree.flatten(other), strict=True
    ):
        np.testing.assert_array_equal(np.asarray(a), np.asarray(b))
        assert np.asarray(a).dtype == np.asarray(b).dtype


def patch_of(batch, index):
    return keras.tree.map_structure(lambda array: array[index], batch)


def test_single_patches_are_those_of_the_batches_in_order(feed):
    sequence = feed(batch_size=4, shuffle=False, seed=3)
    source = feed(seed=3).to_grain()
    assert len(source) == sequence.num_samples
    for index in range(len(source)):
        same(source[index], patch_of(sequence[index // 4], index % 4))
    same(source[-1], source[len(source) - 1])
    with pytest.raises(IndexError, match="no patch"):
        source[len(source)]
    assert len(list(source)) == len(source)


def test_augmentation_of_a_patch_depends_on_epoch_and_number(caches):
    sequence = kp.PatchingSequence(caches["masks"], augment=True, seed=1)
    source = sequence.to_grain()
    first = copy.deepcopy(source[2])
    source[1]
    same(first, source[2])
    source.epoch = 1
    assert not np.array_equal(first[0], source[2][0])
    assert sequence.epoch == 0
    source.epoch = 0
    same(first, source[2])


def test_what_is_pickled_is_paths(feed):
    source = feed().to_grain()
    source[0]
    data = pickle.dumps(source)
    assert source[0][0].tobytes() not in data
    same(pickle.loads(data)[1], source[1])


def test_grain_reads_each_patch_once(feed):
    grain = pytest.importorskip("grain")
    source = feed().to_grain()
    patches = grain.MapDataset.source(source).shuffle(seed=0)
    found = sorted(image.tobytes() for image, _ in patches)
    assert found == sorted(image.tobytes() for image, _ in source)
    image, _ = next(iter(patches.batch(2)))
    assert image.shape == (2, 8, 8, 3)


@pytest.mark.parametrize("start", [None, "fork", "spawn"])
def test_torch_loads_patches_in_its_workers(start, caches):
    data = pytest.importorskip("torch").utils.data
    source = kp.PatchingSequence(caches["boxes"]).to_grain()
    source[0]  # Its shards are open when workers are forked.
    loader = data.DataLoader(
        source,
        batch_size=3,
        num_workers={None: 0, "fork": 2, "spawn": 1}[start],
        multiprocessing_context=start,
    )
    expected = kp.PatchingSequence(caches["boxes"], batch_size=3, shuffle=False)
    batches = list(loader)
    assert len(batches) == len(expected)
    for found, batch in zip(batches, expected, strict=True):
        same(found, batch)


def test_tf_data_gives_the_batches_of_each_epoch(feed):
    tf = pytest.importorskip("tensorflow")
    sequence = feed(batch_size=4, seed=2)
    sequence.epoch = 3
    dataset = sequence.to_tf_dataset()
    assert dataset.cardinality() == len(sequence)
    images, _ = dataset.element_spec
    assert images == tf.TensorSpec((None, 8, 8, 3), tf.uint8)
    for epoch in 3, 4:
        sequence.epoch = epoch
        found = list(dataset.as_numpy_iterator())
        assert len(found) == len(sequence)
        for index, batch in enumerate(found):
            same(batch, sequence[index])


def test_tf_data_knows_the_size_of_whole_batches(caches):
    pytest.importorskip("tensorflow")
    sequence = kp.PatchingSequence(
        caches["boxes"], batch_size=2, drop_remainder=True, dtype="float32"
    )
    images, labels = sequence.to_tf_dataset().element_spec
    assert images.shape == (2, 8, 8, 3)
    assert images.dtype == "float32"
    assert labels["boxes"].shape == sequence[0][1]["boxes"].shape


def test_what_tf_data_needs_is_told(caches, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    sequence = kp.PatchingSequence(caches["masks"])
    with pytest.raises(ImportError, match=r"keras-patching\[tensorflow\]"):
        sequence.to_tf_dataset()
