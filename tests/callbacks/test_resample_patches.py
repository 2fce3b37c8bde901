"""New patches of the same images are drawn while a detector trains."""

import json
import threading

import keras
import numpy as np
import pytest

from keras_patching import (
    ObjectDetectionModel,
    PatchingSequence,
    load_yolo_dataset_from_directory,
)
from keras_patching.callbacks import ResamplePatches
from keras_patching.data.image_io import write_image

PATCH = 8


@pytest.fixture
def manifest(tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (30, 40, 3), np.uint8)
    write_image(tmp_path / "tray.png", image)
    box = {"all_points_x": [12, 17], "all_points_y": [9, 14]}
    (tmp_path / "labels.json").write_text(
        json.dumps({"tray": {"plants": [box]}})
    )
    return load_yolo_dataset_from_directory(
        "labels.json",
        tmp_path,
        PATCH,
        grid_size=2,
        store="windows",
        verbose=False,
    ).manifest


def open_sequence(manifest, **kwargs):
    return PatchingSequence(manifest, 8, shuffle=False, **kwargs)


def batches(sequence):
    return [sequence[index][0].tobytes() for index in range(len(sequence))]


def test_patches_are_drawn_anew_after_every_nth_epoch(manifest):
    sequence = open_sequence(manifest)
    callback = ResamplePatches(sequence, every=2)
    drawn = [batches(sequence)]
    for epoch in range(4):
        callback.on_epoch_end(epoch)
        drawn.append(batches(sequence))
    assert drawn[0] == drawn[1] != drawn[2] == drawn[3] != drawn[4]
    assert drawn[4] != drawn[0]


def test_another_training_draws_the_same_patches(manifest):
    drawn = []
    for _ in range(2):
        sequence = open_sequence(manifest)
        ResamplePatches(sequence).on_epoch_end(3)
        drawn.append(batches(sequence))
    assert drawn[0] == drawn[1]


def test_each_epoch_of_a_training_sees_one_draw_and_all_of_it(manifest):
    epochs, seen, lock = 3, set(), threading.Lock()

    def note(images, targets):
        with lock:
            seen.add(images.tobytes())
        return images, targets

    net = keras.Sequential(
        [
            keras.Input((PATCH, PATCH, 3)),
            keras.layers.AveragePooling2D(4),
            keras.layers.Conv2D(6, 1),
        ]
    )
    model = ObjectDetectionModel(net, 2, ((5, 5),), patch_size=PATCH)
    model.compile("adam")
    sequence = open_sequence(manifest, augment=note)
    resample = ResamplePatches(sequence)
    model.fit(sequence, epochs=epochs, verbose=0, callbacks=[resample])
    expected = set()
    other = open_sequence(manifest)
    for number in range(epochs):
        other.redraw(number)
        expected |= set(batches(other))
    assert seen == expected


def test_impossible_arguments_are_refused(manifest):
    with pytest.raises(ValueError, match="Received: 0"):
        ResamplePatches(open_sequence(manifest), every=0)
