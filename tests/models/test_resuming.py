"""A training that was interrupted ends with the weights of one that was not."""

import keras
import numpy as np
import pytest
from training_a_share import Interrupt

from keras_patching import (
    PatchedModel,
    PatchingSequence,
    load_dataset_from_directory_with_segmentation_masks,
)
from keras_patching.data.images.image_io import write_image

COUNT = 20


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resuming")
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for index in range(COUNT // 4):
        image = rng.integers(1, 256, (8, 8, 1), dtype=np.uint8)
        write_image(folder / "images" / f"{index}.png", image)
        write_image(folder / "masks" / f"{index}.png", image[..., 0] // 128)
    return load_dataset_from_directory_with_segmentation_masks(
        folder / "images",
        folder / "masks",
        patch_size=4,
        channels=1,
        num_classes=2,
        verbose=False,
    ).manifest_path


def open_sequence(manifest, **options):
    """7 batches, the last of them smaller."""
    options = {"batch_size": 3, "seed": 0, "augment": True, **options}
    return PatchingSequence(manifest, **options)


def make_net():
    """A net with all that changes while it trains."""
    return keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(2, 1),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.Conv2D(1, 1),
        ]
    )


def make_model(**options):
    keras.utils.set_random_seed(1)
    model = PatchedModel(make_net(), patch_size=4)
    model.compile(keras.optimizers.Adam(0.01), "mse", **options)
    return model


class Steps(keras.callbacks.Callback):
    """Counts the batches of each epoch, each of which begins and ends."""

    def __init__(self):
        super().__init__()
        self.counts, self.begun = {}, 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.counts[epoch] = epoch, 0

    def on_train_batch_begin(self, batch, logs=None):
        self.begun += 1

    def on_train_batch_end(self, batch, logs=None):
        self.counts[self.epoch] += 1

    def on_epoch_end(self, epoch, logs=None):
        assert self.begun == sum(self.counts.values())


def state_of(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [keras.ops.convert_to_numpy(each) for each in variables]


def assert_same_state(model, other):
    for one, two in zip(state_of(model), state_of(other), strict=True):
        np.testing.assert_array_equal(one, two)


def run(manifest, folder, after=None, model=None, sequence=None, **options):
    """Train as a new process does, up to a number of batches."""
    model = model or make_model()
    sequence = sequence or open_sequence(manifest)
    steps, save_freq = Steps(), options.pop("save_freq", 2)
    backup = keras.callbacks.BackupAndRestore(str(folder), save_freq=save_freq)
    callbacks = [backup, steps]
    if after is not None:
        callbacks.append(Interrupt(after))
    try:
        options = {"epochs": 3, "verbose": 0, **options}
        model.fit(sequence, callbacks=callbacks, **options)
    except KeyboardInterrupt:
        assert after is not None
    return model, steps.counts


@pytest.fixture(scope="module")
def whole(manifest, tmp_path_factory):
    """What a training that is not interrupted comes to."""
    return run(manifest, tmp_path_factory.mktemp("whole"))[0]


@pytest.mark.parametrize(
    ("save_freq", "breaks", "expected"),
    [
        # It was at batch 3 and was saved after 2.
        (2, [3], {0: 5, 1: 7, 2: 7}),
        # The epoch is interrupted once more in what is left of it.
        (2, [9, 3], {1: 4, 2: 7}),
        # The last batch of an epoch was saved: it is not trained again.
        (7, [8], {1: 7, 2: 7}),
        # The very first, and the very last one.
        (1, [1, 20], {}),
        ("epoch", [16], {2: 7}),
    ],
)
def test_it_ends_as_if_nothing_had_happened(
    manifest, whole, tmp_path, save_freq, breaks, expected
):
    for after in breaks:
        run(manifest, tmp_path, after, save_freq=save_freq)
    model, counts = run(manifest, tmp_path, save_freq=save_freq)
    assert counts == expected
    assert_same_state(model, whole)


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras refuses it there."
)
def test_steps_in_one_call_go_on_too(manifest, tmp_path):
    expected = make_model(steps_per_execution=2)
    options = {"epochs": 2, "save_freq": 2}
    run(manifest, tmp_path / "whole", model=expected, **options)
    for after in (6, None):  # 4 calls an epoch, the last of one batch
        model = make_model(steps_per_execution=2)
        _, counts = run(manifest, tmp_path, after, model, **options)
    assert counts == {1: 2}
    assert_same_state(model, expected)


@pytest.mark.parametrize("first_seed", [None, 2**40])
def test_it_goes_on_with_the_seed_that_it_had(manifest, tmp_path, first_seed):
    seeds = []
    for after, seed in ((10, first_seed), (None, None)):
        sequence = open_sequence(manifest, seed=seed)
        drawn = sequence.seed
        model, _ = run(manifest, tmp_path, after, sequence=sequence)
        seeds.append(sequence.seed)
        # As if it was killed between the two files that Keras writes.
        (tmp_path / "training_metadata.json").unlink(missing_ok=True)
    assert seeds[1] == seeds[0] != drawn
    sequence = open_sequence(manifest, seed=seeds[0])
    expected, _ = run(manifest, tmp_path, sequence=sequence)
    assert_same_state(model, expected)


@pytest.mark.parametrize(
    "options",
    [{"seed": 1}, {"batch_size": 4}, {"shuffle": False}, {"names": ["1.png"]}],
)
def test_other_batches_are_refused_in_the_middle_of_an_epoch(
    manifest, tmp_path, options
):
    run(manifest, tmp_path, 3)
    sequence = open_sequence(manifest, **options)
    with pytest.raises(ValueError, match=r"batch 2 of epoch 0.*as it was"):
        run(manifest, tmp_path, sequence=sequence)


def test_other_random_layers_are_refused(manifest, tmp_path):
    run(manifest, tmp_path, 3)
    layers = [*make_net().layers, keras.layers.Dropout(0.5)]
    net = keras.Sequential([keras.Input((None, None, 1)), *layers])
    model = PatchedModel(net, patch_size=4)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    with pytest.raises(ValueError, match=r"as it was.* 2 of them, was: 1"):
        run(manifest, tmp_path, model=model)


def test_a_second_training_is_its_own(manifest, tmp_path):
    """It goes on where the sequence was, and the third begins at its start."""
    states = []
    for breaks in ([None], [9, None]):
        model, sequence = make_model(), open_sequence(manifest)
        model.fit(sequence, epochs=1, verbose=0)
        for after in breaks:
            run(manifest, tmp_path, after, model, sequence, epochs=2)
        assert sequence.epoch == 3
        states.append(state_of(model))
        history = model.fit(sequence, epochs=2, verbose=0)
        assert history.epoch == [0, 1]
    for one, other in zip(*states, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_pass_of_many_epochs_is_begun_anew_in_words(manifest, tmp_path):
    options = {"steps_per_epoch": 2, "epochs": 4, "save_freq": "epoch"}
    run(manifest, tmp_path, 3, **options)
    with pytest.warns(UserWarning, match="begins a pass over the data anew"):
        _, counts = run(manifest, tmp_path, **options)
    assert counts == {1: 2, 2: 2, 3: 2}


def test_the_weights_of_a_backup_are_weights(manifest, tmp_path):
    model, _ = run(manifest, tmp_path, 2)
    other = PatchedModel(make_net(), patch_size=4)
    other.load_weights(tmp_path / "latest.weights.h5")
    image = np.ones((1, 8, 8, 1), "uint8")
    expected = model.predict(image, verbose=0)
    np.testing.assert_array_equal(other.predict(image, verbose=0), expected)
    # They say nothing to a training that restores no backup.
    other.compile("sgd", "mse")
    _, counts = run(manifest, tmp_path / "other", model=other, epochs=1)
    assert counts == {0: 7}
