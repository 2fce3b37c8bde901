"""Loaders of detection plan, cut and cache what the labels say."""

import json

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.images.image_io import write_image

SIZES = {"a": (50, 70), "b": (20, 30), "c": (64, 40)}
BOXES = {
    "a": [[3, 4, 12, 15], [40, 30, 52, 38], [60, 2, 70, 11]],
    "b": [[5, 5, 20, 12]],
    "c": [],
}
PATCH = 32


@pytest.fixture
def folder(tmp_path):
    """Images in which each box is filled with a colour of its own."""
    (tmp_path / "images").mkdir()
    entries = {}
    for name, (height, width) in SIZES.items():
        image = np.full((height, width, 3), 10, "uint8")
        for index, (x1, y1, x2, y2) in enumerate(BOXES[name]):
            image[y1:y2, x1:x2] = 100 + 20 * index
        write_image(tmp_path / "images" / f"{name}.png", image)
        entries[name] = {
            "file_name": f"{name}.png",
            "objects": [
                {"all_points_x": [x1, x2], "all_points_y": [y1, y2]}
                for x1, y1, x2, y2 in BOXES[name]
            ],
        }
    (tmp_path / "labels.json").write_text(json.dumps(entries))
    return tmp_path


def load(folder, **kwargs):
    kwargs = {"grid_size": 2, "shuffle": False, "verbose": False, **kwargs}
    return kp.load_yolo_dataset_from_directory(
        folder / "labels.json", folder / "images", PATCH, **kwargs
    )


def all_of(sequence):
    batches = [sequence[index] for index in range(len(sequence))]
    images, targets = zip(*batches, strict=True)
    return np.concatenate(images), {
        name: np.concatenate([target[name] for target in targets])
        for name in ("boxes", "labels")
    }


def test_boxes_frame_their_objects_in_every_patch(folder):
    images, targets = all_of(load(folder))
    assert images.dtype == "uint8"
    assert targets["boxes"].dtype == "float32"
    framed = 0
    for image, boxes, labels in zip(
        images, targets["boxes"], targets["labels"], strict=True
    ):
        for x1, y1, x2, y2 in boxes[labels >= 0].round().astype(int):
            inside = image[y1:y2, x1:x2]
            assert (inside == inside[0, 0]).all()
            assert 0 <= x1 < x2 <= PATCH
            framed += 1
    assert framed > 20


def test_both_stores_give_the_same_batches(folder):
    patches = all_of(load(folder, store="patches"))
    images = all_of(load(folder, store="images"))
    np.testing.assert_array_equal(patches[0], images[0])
    for name in ("boxes", "labels"):
        np.testing.assert_array_equal(patches[1][name], images[1][name])


def test_a_second_call_finds_the_patches_and_says_what_they_cover(
    folder, capsys
):
    first = load(folder)
    again = load(folder, verbose=True)
    printed = capsys.readouterr().out
    assert again.manifest_path == first.manifest_path
    assert "Found" in printed
    assert "2x2 grid" in printed
    assert "95% of the boxes" in printed


def test_an_overlap_that_no_patch_has_is_said_to_need_larger_ones(
    tmp_path, capsys
):
    box = {"all_points_x": [1, 39], "all_points_y": [1, 29]}
    (tmp_path / "images").mkdir()
    write_image(tmp_path / "images/a.png", np.zeros((40, 40, 3), "uint8"))
    labels = {"a.png": {"objects": [box]}}
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    kp.load_yolo_dataset_from_directory(
        tmp_path / "labels.json", tmp_path / "images", 32, grid_size=2
    )
    printed = capsys.readouterr().out
    assert "(28, 38) would hold" in printed
    assert "make patches larger" in printed


def test_objects_of_two_keys_are_two_caches(folder):
    path = folder / "labels.json"
    entries = json.loads(path.read_text())
    for entry in entries.values():
        entry["weeds"] = entry["objects"][:1]
    path.write_text(json.dumps(entries))
    plants, weeds = load(folder), load(folder, objects_key="weeds")
    assert plants.manifest_path != weeds.manifest_path
    for sequence in (plants, weeds):
        again = kp.PatchingSequence(sequence.manifest_path, shuffle=False)
        np.testing.assert_array_equal(all_of(again)[0], all_of(sequence)[0])
    assert plants.num_samples > weeds.num_samples


def test_one_more_image_leaves_the_shards_of_the_others_alone(folder):
    before = set(load(folder).directory.glob("shards/*"))
    write_image(folder / "images/d.png", np.zeros((40, 40, 3), "uint8"))
    labels = json.loads((folder / "labels.json").read_text())
    many = [
        {"all_points_x": [i, i + 9], "all_points_y": [i, i + 9]}
        for i in range(20)
    ]
    labels["d"] = {"objects": many}
    (folder / "labels.json").write_text(json.dumps(labels))
    after = set(load(folder).directory.glob("shards/*"))
    assert before < after
    assert all(path.name.startswith("d-") for path in after - before)


def test_an_image_without_objects_has_patches_only_on_request(folder):
    assert "c.png" in load(folder).image_names
    without = load(folder).num_samples
    assert load(folder, empty_patches=5).num_samples == without + 5


def test_images_of_which_none_has_objects_make_no_data_set(folder):
    (folder / "labels.json").write_text('{"a": {"objects": []}}')
    for name in "bc":
        (folder / f"images/{name}.png").unlink()
    with pytest.raises(ValueError, match="`empty_patches`"):
        load(folder)
    with pytest.warns(UserWarning, match="no object in any image"):
        sequence = load(folder, empty_patches=3, verbose=True)
    assert sequence.num_samples == 3


def test_a_split_keeps_images_apart(folder):
    train, held_out = load(folder, validation_split=0.34, subset="both")
    assert not set(train.image_names) & set(held_out.image_names)
    shapes = [all_of(each)[1]["boxes"].shape[1:] for each in (train, held_out)]
    assert shapes[0] == shapes[1]  # one compilation for both


def test_resampling_changes_all_but_the_patches_of_the_grid(folder):
    sequence = load(folder, store="images")
    (source, *_) = sequence.sources
    is_grid = np.array(source.stages) == "grid"
    count = len(is_grid)
    before, _ = all_of(sequence)
    sequence.resample(1)
    images, targets = all_of(sequence)
    changed = (before != images).any(axis=(1, 2, 3))[:count]
    assert not changed[is_grid].any()
    assert changed[~is_grid].mean() > 0.5
    for image, boxes, labels in zip(
        images, targets["boxes"], targets["labels"], strict=True
    ):
        for x1, y1, x2, y2 in boxes[labels >= 0].round().astype(int):
            assert (image[y1:y2, x1:x2] == image[y1, x1]).all()
    sequence.resample(0)
    np.testing.assert_array_equal(all_of(sequence)[0], before)


def test_stored_patches_cannot_be_resampled(folder):
    with pytest.raises(ValueError, match='store="images"'):
        kp.callbacks.ResamplePatches(load(folder))


def test_without_augmentation_patches_are_as_they_are_cut(folder):
    augmented = load(folder, augment=True, store="images")
    plain = load(folder, augment=False, store="images")
    assert plain.num_samples == augmented.num_samples
    assert any(s for source in augmented.sources for s in source.augmentations)
    assert not any(s for source in plain.sources for s in source.augmentations)


def test_boxes_are_not_left_behind_by_augmented_pixels(folder):
    cache = load(folder).directory
    with pytest.raises(ValueError, match="holds boxes and labels, which"):
        kp.PatchingSequence(cache, augment=True)


def test_a_box_outside_its_image_is_refused_before_anything_is_cut(folder):
    labels = json.loads((folder / "labels.json").read_text())
    labels["a"]["objects"][1]["all_points_x"] = [60, 71]
    (folder / "labels.json").write_text(json.dumps(labels))
    with pytest.raises(ValueError, match=r'\["a"\]\["objects"\]\[1\]'):
        load(folder)
    assert not (folder / "images_patches").exists()


def test_a_sequence_names_its_classes_which_are_those_of_the_model(folder):
    sequence = load(folder, class_names=("weed",))
    assert sequence.class_names == ["weed"]
    layers = keras.layers.AveragePooling2D(16), keras.layers.Conv2D(30, 1)
    net = keras.Sequential([keras.Input((None, None, 3)), *layers])
    model = kp.ObjectDetectionModel(
        net, grid_size=2, class_names=("crop",), patch_size=PATCH
    )
    model.compile("sgd")
    with pytest.raises(ValueError, match=r"has class_names=\['weed'\], '"):
        model.fit(sequence)


def test_anchors_fit_the_boxes(folder):
    sequence = load(folder, augment=False)
    anchors = kp.fit_anchors(sequence, k=2)
    assert len(anchors) == 2
    assert all(3 < side < 20 for anchor in anchors for side in anchor)
    with pytest.raises(ValueError, match="number of boxes"):
        kp.fit_anchors(sequence, k=10**6)


def test_anchors_are_fitted_without_reading_an_image(folder):
    sequence = load(folder, batch_size=3)
    expected = kp.fit_anchors(sequence, k=2)
    shards = [*(folder / "images_patches/shards").glob("*.images.npy")]
    assert shards
    for shard in shards:
        shard.unlink()
    assert kp.fit_anchors(sequence, k=2) == expected


@pytest.mark.parametrize(
    "options", [{"store": "zip"}, {"augment": len}, {"seed": -1}]
)
def test_arguments_that_make_no_sense_are_refused(folder, options):
    with pytest.raises(ValueError, match=next(iter(options))):
        load(folder, **options)


def test_anchors_are_of_a_data_set_not_of_a_file():
    with pytest.raises(ValueError, match="load_yolo_dataset_from_directory"):
        kp.fit_anchors("labels.json")


def write_wide_boxes(folder):
    entries = {
        name: {"objects": [{"all_points_x": [2, 14], "all_points_y": [3, 6]}]}
        for name in SIZES
    }
    (folder / "labels.json").write_text(json.dumps(entries))


def test_anchors_with_width_before_height_are_doubted(folder):
    write_wide_boxes(folder)
    net = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Conv2D(6, 1),
        ]
    )

    def load_with(anchors):
        model = kp.ObjectDetectionModel(net, 2, anchors, patch_size=16)
        return model.load_yolo_dataset_from_directory(
            folder / "labels.json",
            folder / "images",
            verbose=False,
            augment=False,
        )

    load_with([(3, 12)])
    with pytest.warns(
        UserWarning, match=r"better as \(width, height\): .* IoU"
    ):
        load_with([(12, 3)])


def test_a_grid_that_divides_patches_only_when_it_is_swapped_is_doubted(folder):
    write_wide_boxes(folder)

    def load_with(grid_size):
        return kp.load_yolo_dataset_from_directory(
            folder / "labels.json",
            folder / "images",
            (16, 24),
            grid_size=grid_size,
            verbose=False,
        )

    load_with((2, 3))
    load_with((5, 7))
    with pytest.warns(UserWarning, match=r"3 rows and 2 columns do not divide"):
        load_with((3, 2))
