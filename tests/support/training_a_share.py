"""Trains the share of one of some processes; writes what came of it.

The numbers of the patches are their labels: a metric counts how often each was
trained on, by all processes together.
"""

import json
import sys

import keras
import numpy as np

import keras_patching as kp

COUNT = 28


class Seen(keras.metrics.Metric):
    """How often each patch was seen in a pass."""

    def __init__(self):
        super().__init__(name="seen")
        self.times = self.add_weight(shape=(COUNT,), initializer="zeros")

    def update_state(self, y_true, y_pred, sample_weight=None):
        numbers = keras.ops.cast(y_true[:, 0, 0], "int32")
        which = keras.ops.one_hot(numbers, COUNT)
        self.times.assign_add(keras.ops.sum(which, 0))

    def result(self):
        return keras.ops.sum(self.times)


class Watch(keras.callbacks.Callback):
    """Keeps how often each patch was seen, and the number of steps."""

    def __init__(self, seen):
        super().__init__()
        self.seen, self.epochs, self.steps = seen, [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.steps.append(0)

    def on_train_batch_end(self, batch, logs=None):
        self.steps[-1] += 1

    def on_epoch_end(self, epoch, logs=None):
        times = keras.ops.convert_to_numpy(self.seen.times)
        self.epochs.append(times.astype(int).tolist())


class Interrupt(keras.callbacks.Callback):
    """Ends a training after so many batches, as a signal does."""

    def __init__(self, after):
        super().__init__()
        self.left = after

    def on_train_batch_end(self, batch, logs=None):
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt


def make_model():
    """A small net whose weights are the same in each process."""
    rng = np.random.default_rng(0)
    net = keras.Sequential(
        [
            keras.Input((None, None, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(4, 3, padding="same", activation="relu"),
            keras.layers.Conv2D(1, 1),
        ]
    )
    net.set_weights([rng.normal(size=w.shape) for w in net.get_weights()])
    return kp.PatchedModel(net, patch_size=4)


def train(
    manifest,
    shard=None,
    epoch=0,
    predict=False,
    backup=None,
    save_freq=3,
    after=None,
    **options,
):
    """Train two epochs, and tell what came of it.

    With a `backup`, a folder, it goes on where it was saved; it is interrupted
    `after` so many batches.
    """
    options = {"batch_size": 8, "seed": 0, "augment": True, **options}
    sequence = kp.PatchingSequence(manifest, **options)
    sequence.epoch = epoch
    if shard is not None:
        sequence = sequence.shard(*shard)
    model, watch = make_model(), Watch(Seen())
    if predict:
        return model.predict(sequence, verbose=0).shape
    model.compile(keras.optimizers.SGD(1e-3), "mse", metrics=[watch.seen])
    callbacks = [watch]
    if backup is not None:
        callbacks.append(keras.callbacks.BackupAndRestore(backup, save_freq))
    if after is not None:
        callbacks.append(Interrupt(after))
    try:
        fitted = model.fit(sequence, epochs=2, verbose=0, callbacks=callbacks)
    except KeyboardInterrupt:
        return "interrupted"
    losses = fitted.history
    assert sequence.epoch == epoch + 2
    return {
        "seen": watch.epochs,
        "steps": watch.steps,
        "losses": losses["loss"],
        "evaluated": model.evaluate(sequence, verbose=0),
        "weights": [weight.tolist() for weight in model.get_weights()],
    }


def main(out, number, processes, port, manifest, cases):
    """Write the results of some cases, or what was said of them.

    Each is the arguments of `train`, and `auto`: whether the distribution is
    to share the data. Those that differ between processes are lists.
    """
    keras.utils.set_random_seed(0)
    number, processes = int(number), int(processes)
    if processes > 1:
        keras.distribution.initialize(f"127.0.0.1:{port}", processes, number)
    found = []
    for case, own in json.loads(cases):
        case |= {name: values[number] for name, values in own.items()}
        distribution = keras.distribution.DataParallel(
            auto_shard_dataset=case.pop("auto", True)
        )
        with distribution.scope():
            try:
                found.append(train(manifest, **case))
            except ValueError as error:
                found.append(str(error))
    with open(f"{out}/{number}.json", "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
