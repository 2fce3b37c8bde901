"""What a model trains on and predicts, batch after batch, as the model saw it.

Each patch has a colour of its own, its number, so the order can be read off
targets and predictions.
"""

import gc
import os
import threading

import keras
import numpy as np
import pytest

from keras_patching import (
    PatchedModel,
    PatchingSequence,
    load_dataset_from_directory_with_segmentation_masks,
)
from keras_patching.data.images.image_io import write_image

COUNT = 36


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("feeding")
    for image in range(COUNT // 4):
        mask = np.arange(4, dtype="uint8").reshape(2, 2) + 4 * image
        mask = mask.repeat(4, 0).repeat(4, 1)
        for name, pixels in (("images", mask[..., None]), ("masks", mask)):
            (folder / name).mkdir(exist_ok=True)
            write_image(folder / name / f"{image}.png", pixels)
    return load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        patch_size=4,
        channels=1,
        num_classes=COUNT,
        verbose=False,
    ).manifest_path


def open_sequence(manifest, **options):
    return PatchingSequence(manifest, **{"batch_size": 6, "seed": 0, **options})


def order(manifest, epoch, **options):
    """Numbers of the patches in the order of an epoch."""
    sequence = open_sequence(manifest, **options)
    sequence.epoch = epoch
    return [n for images, _ in sequence for n in images[:, 0, 0, 0].tolist()]


class Seen(keras.metrics.Metric):
    """Numbers of the patches that were trained on, in their order."""

    def __init__(self):
        super().__init__(name="seen")
        self.count = self.add_weight(shape=(), initializer="zeros")
        self.times = self.add_weight(shape=(COUNT,), initializer="zeros")
        self.when = self.add_weight(shape=(COUNT,), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        numbers = keras.ops.cast(y_true[:, 0, 0], "int32")
        which = keras.ops.one_hot(numbers, COUNT)
        self.times.assign_add(keras.ops.sum(which, 0))
        places = keras.ops.cumsum(keras.ops.sum(which, 1)) + self.count
        self.when.assign_add(keras.ops.sum(which * places[:, None], 0))
        self.count.assign_add(keras.ops.sum(which))

    def result(self):
        return self.count + 0.0

    def now(self):
        times, when = map(keras.ops.convert_to_numpy, (self.times, self.when))
        return (
            np.argsort(when).repeat(times.astype(int)[when.argsort()]).tolist()
        )


class Watch(keras.callbacks.Callback):
    """Keeps what each epoch has seen."""

    def __init__(self, seen):
        super().__init__()
        self.seen, self.epochs = seen, []

    def on_epoch_end(self, epoch, logs=None):
        self.epochs.append(self.seen.now())


def make_model(built=False, model=PatchedModel):
    """A model that predicts the number of a patch, and what watches it."""
    convolution = keras.layers.Conv2D(1, 1, kernel_initializer="ones")
    patch_model = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.Rescaling(1.0), convolution]
        if built or model is not PatchedModel
        else [keras.layers.Rescaling(1.0), convolution]
    )
    if model is PatchedModel:
        patch_model = PatchedModel(patch_model, patch_size=4)
    watch = Watch(Seen())
    patch_model.compile(keras.optimizers.SGD(1e-6), "mse", metrics=[watch.seen])
    if built:
        patch_model(np.zeros((1, 4, 4, 1), "float32"))
    return patch_model, watch


@pytest.mark.parametrize("workers", [0, 4])
@pytest.mark.parametrize("built", [False, True])
def test_fit_sees_the_order_of_seed_and_epoch(manifest, workers, built):
    model, watch = make_model(built)
    sequence = open_sequence(manifest, workers=workers, batch_size=7)
    model.fit(sequence, epochs=2, verbose=0, callbacks=[watch])
    sequence.workers = 2  # which Keras must not start
    model.fit(sequence, epochs=1, verbose=0, shuffle=True, callbacks=watch)
    assert watch.epochs == [
        order(manifest, epoch, batch_size=7) for epoch in range(3)
    ]
    assert sorted(watch.epochs[0]) == list(range(COUNT))
    assert sequence.epoch == 3


@pytest.mark.parametrize("first", ["predict", "evaluate"])
def test_a_pass_sees_the_order_of_the_epoch(manifest, first):
    sequence = open_sequence(manifest)
    sequence.epoch = 4
    expected = order(manifest, 4)
    model, watch = make_model()
    for name in (first, "predict", "evaluate"):
        result = getattr(model, name)(sequence, verbose=0)
        seen = (
            result[:, 0, 0, 0].round().tolist()
            if name == "predict"
            else watch.seen.now()
        )
        assert seen == expected
    assert sequence.epoch == 4


def test_validation_sees_every_patch_in_order(manifest):
    model, watch = make_model()
    validation = open_sequence(manifest, shuffle=False)
    model.fit(
        open_sequence(manifest),
        validation_data=validation,
        epochs=2,
        verbose=0,
        callbacks=[watch],
    )
    assert watch.epochs == [list(range(COUNT))] * 2


def test_a_sequence_can_validate_itself(manifest):
    model, watch = make_model()
    sequence = open_sequence(manifest)
    # Names of arguments are optional, as in Keras.
    model.fit(sequence, None, None, 2, 0, [watch], 0.0, sequence)
    assert watch.epochs == [order(manifest, epoch) for epoch in range(2)]
    assert sequence.epoch == 2


def test_a_resumed_training_goes_on_with_the_order(manifest):
    model, watch = make_model()
    for epoch in (2, 3):  # each in a new process, so to say
        sequence = open_sequence(manifest)
        model.fit(
            sequence,
            initial_epoch=epoch,
            epochs=epoch + 1,
            verbose=0,
            callbacks=[watch],
        )
        assert sequence.epoch == epoch + 1
    assert watch.epochs == [order(manifest, epoch) for epoch in (2, 3)]


class Break(keras.callbacks.Callback):
    """Interrupts a training in the middle of an epoch."""

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if (self.epoch, batch) == (1, 3):
            raise KeyboardInterrupt


def test_a_restored_backup_goes_on_with_the_order(manifest, tmp_path):
    for more in ([Break()], []):
        model, watch = make_model(built=True)
        backup = keras.callbacks.BackupAndRestore(str(tmp_path / "backup"))
        try:
            model.fit(
                open_sequence(manifest),
                epochs=3,
                verbose=0,
                callbacks=[backup, watch, *more],
            )
        except KeyboardInterrupt:
            assert watch.epochs == [order(manifest, 0)]
    assert watch.epochs == [order(manifest, 1), order(manifest, 2)]


def test_short_epochs_share_a_pass(manifest):
    model, watch = make_model()
    sequence = open_sequence(manifest, batch_size=9)
    model.fit(
        sequence, epochs=4, steps_per_epoch=2, verbose=0, callbacks=[watch]
    )
    first, second, third, fourth = watch.epochs
    assert first + second == order(manifest, 0, batch_size=9)
    assert third + fourth == order(manifest, 1, batch_size=9)
    assert sequence.epoch == 2


@pytest.mark.parametrize("kind", [list, keras.callbacks.CallbackList])
def test_callbacks_may_come_as_keras_takes_them(manifest, kind):
    model, watch = make_model()
    sequence = open_sequence(manifest)
    model.fit(sequence, epochs=1, verbose=0, callbacks=kind([watch]))
    assert (watch.epochs, sequence.epoch) == ([order(manifest, 0)], 1)


def test_a_list_of_callbacks_with_its_own_history_has_it_once(manifest):
    model, watch = make_model()
    callbacks = keras.callbacks.CallbackList(
        [watch], add_history=True, add_progbar=True, model=model
    )
    sequence = open_sequence(manifest)
    history = model.fit(sequence, epochs=2, verbose=0, callbacks=callbacks)
    assert history in callbacks.callbacks
    assert history.epoch == [0, 1]
    assert len(callbacks.callbacks) == 3
    assert sequence.epoch == 2


def test_an_interrupted_training_leaves_nothing_open(manifest):
    threads = threading.active_count()
    if keras.backend.backend() == "tensorflow":
        threads += 2  # its own
    model, _ = make_model(built=True)
    sequence = open_sequence(manifest, batch_size=1)
    with pytest.raises(KeyboardInterrupt):
        model.fit(sequence, epochs=2, verbose=0, callbacks=[Break()])
    assert threading.active_count() <= threads
    assert sequence.epoch == 1
    assert model.predict(sequence, verbose=0).shape[0] == COUNT
    files = len(os.listdir("/proc/self/fd"))
    del sequence
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= files - COUNT // 4


def test_what_fails_in_reading_reaches_the_caller(manifest):
    def fail(images, labels):
        if 13 in images:
            raise ValueError("a broken patch")
        return images, labels

    model, _ = make_model()
    sequence = open_sequence(manifest, shuffle=False, augment=fail)
    with pytest.raises(Exception, match="a broken patch"):
        model.fit(sequence, verbose=0)


class NegativeSequence(PatchingSequence):
    """Numbers patches from the last one, and counts its epochs."""

    ended = 0

    def __getitem__(self, index):
        images, masks = super().__getitem__(index)
        return images, COUNT - 1 - masks

    def on_epoch_end(self):
        super().on_epoch_end()
        self.ended += 1


def test_sequences_of_ones_own_are_read_as_they_are(manifest):
    model, watch = make_model()
    sequence = NegativeSequence(manifest, 6, shuffle=False)
    model.fit(sequence, epochs=2, verbose=0, callbacks=[watch])
    assert watch.epochs == [list(range(COUNT))[::-1]] * 2
    assert sequence.ended >= 2


def test_other_models_see_each_patch_once_too(manifest):
    model, watch = make_model(model=None)
    sequence = open_sequence(manifest, workers=4)
    model.fit(sequence, epochs=2, verbose=0, callbacks=[watch])
    assert sequence.epoch == 2
    model.fit(sequence, epochs=2, verbose=0, shuffle=False, callbacks=[watch])
    assert [sorted(seen) for seen in watch.epochs] == [list(range(COUNT))] * 4
    assert watch.epochs[2:] == [order(manifest, epoch) for epoch in (2, 3)]
    assert sequence.epoch == 4
    predicted = model.predict(sequence, verbose=0)[:, 0, 0, 0]
    assert predicted.round().tolist() == order(manifest, 4)
