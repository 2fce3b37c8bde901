"""New patches of the same images are drawn while a detector trains."""

import json
import threading

import keras
import numpy as np
import pytest
from checks import check_callback

from keras_patching import (
    ObjectDetectionModel,
    PatchingSequence,
    load_yolo_dataset_from_directory,
)
from keras_patching.callbacks import ResamplePatches
from keras_patching.data.images.image_io import write_image

PATCH = 8


@pytest.fixture
def manifest(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    write_image(tmp_path / "tray.png", image)
    box = {"all_points_x": [12, 17], "all_points_y": [9, 14]}
    (tmp_path / "labels.json").write_text(
        json.dumps({"tray": {"objects": [box]}})
    )
    return load_yolo_dataset_from_directory(
        "labels.json",
        tmp_path,
        PATCH,
        grid_size=2,
        store="images",
        verbose=False,
    ).manifest_path


def open_sequence(manifest, **kwargs):
    return PatchingSequence(manifest, 8, shuffle=False, **kwargs)


def batches(sequence):
    return [sequence[index][0].tobytes() for index in range(len(sequence))]


def test_patches_are_drawn_anew_for_every_nth_epoch(manifest):
    sequence = open_sequence(manifest)
    callback = ResamplePatches(sequence, every=2)
    drawn = [batches(sequence)]
    for epoch in range(5):
        callback.on_epoch_begin(epoch)
        drawn.append(batches(sequence))
    assert drawn[0] == drawn[1] == drawn[2] != drawn[3] == drawn[4] != drawn[5]
    assert drawn[5] != drawn[0]


def test_another_training_draws_the_same_patches(manifest):
    drawn = []
    sequence = open_sequence(manifest)
    for epoch in (3, 0, 3):
        ResamplePatches(sequence).on_epoch_begin(epoch)
        drawn.append(batches(sequence))
    assert drawn[0] == drawn[2] != drawn[1] == batches(open_sequence(manifest))


def holds_object(sequence):
    return (sequence.read_labels()["labels"] >= 0).any(axis=1)


@pytest.mark.parametrize(
    "wish",
    [
        {"foreground_fraction": 1},
        {"foreground_fraction": 0.25},
        {"keep_empty": 0},
    ],
)
def test_patches_drawn_anew_are_chosen_by_their_own_objects(manifest, wish):
    every, chosen = open_sequence(manifest), open_sequence(manifest, **wish)
    first, before = holds_object(every), holds_object(chosen)
    every.resample(2)
    chosen.resample(2)
    assert holds_object(every).sum() != first.sum()
    assert sorted(holds_object(chosen)) == sorted(before)
    assert len(before) == chosen.num_samples


def make_model():
    net = keras.Sequential(
        [
            keras.Input((PATCH, PATCH, 3)),
            keras.layers.AveragePooling2D(4),
            keras.layers.Conv2D(6, 1),
        ]
    )
    model = ObjectDetectionModel(net, 2, ((5, 5),), patch_size=PATCH)
    model.compile("adam")
    return model


def test_it_is_a_callback_as_all_others_of_keras(manifest):
    def make():
        keras.utils.set_random_seed(0)
        sequence = open_sequence(manifest)
        options = {"sequence": sequence, "every": 3}  # One draw for both.
        return make_model(), {"x": sequence}, options

    check_callback(ResamplePatches, make)


def batches_read_in_training(manifest, epochs, initial_epoch=0):
    seen, lock = set(), threading.Lock()

    def note(images, targets):
        with lock:
            seen.add(images.tobytes())
        return images, targets

    model = make_model()
    sequence = open_sequence(manifest, augment=note)
    model.fit(
        sequence,
        epochs=epochs,
        initial_epoch=initial_epoch,
        verbose=0,
        callbacks=[ResamplePatches(sequence)],
    )
    return seen


def batches_of_draws(manifest, numbers):
    sequence, drawn = open_sequence(manifest), set()
    for number in numbers:
        sequence.resample(number)
        drawn |= set(batches(sequence))
    return drawn


def test_each_epoch_of_a_training_sees_one_draw_and_all_of_it(manifest):
    seen = batches_read_in_training(manifest, epochs=3)
    assert seen == batches_of_draws(manifest, range(3))


def test_a_resumed_training_goes_on_with_its_draws(manifest):
    seen = batches_read_in_training(manifest, epochs=4, initial_epoch=2)
    # Keras reads some batches before it says which epoch it begins with.
    first = batches_of_draws(manifest, [0])
    assert seen - first == batches_of_draws(manifest, [2, 3]) - first


def test_a_second_training_goes_on_with_its_draws(manifest):
    sequence = open_sequence(manifest)
    sequence.epoch = 3  # as after a `fit` of three epochs
    ResamplePatches(sequence).on_epoch_begin(0)
    assert set(batches(sequence)) == batches_of_draws(manifest, [3])


def test_impossible_arguments_are_refused(manifest):
    with pytest.raises(ValueError, match="Received: every=0"):
        ResamplePatches(open_sequence(manifest), every=0)
    pair = open_sequence(manifest), open_sequence(manifest)
    with pytest.raises(ValueError, match=r"trained on.* sequence=tuple"):
        ResamplePatches(pair)  # As loaders give it with subset="both".
