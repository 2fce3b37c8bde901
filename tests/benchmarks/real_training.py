"""What the benchmarks on real images share: a schedule and a limit of time."""

import resource
import time

import keras

STEPS_PER_EPOCH = 50


class StopAfter(keras.callbacks.Callback):
    """Ends training after some CPU minutes, at the end of a batch."""

    def __init__(self, minutes):
        super().__init__()
        self.end = cpu_minutes() + minutes

    def on_train_batch_end(self, batch, logs=None):
        if cpu_minutes() > self.end:
            self.model.stop_training = True


def cpu_minutes():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) / 60


def learning_rate(steps, highest):
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps, 0.02, warmup_target=highest, warmup_steps=50
    )


def fit(model, sequence, steps, minutes, callbacks=()):
    """Train for so many steps, or minutes if they are over before."""
    start, cpu = time.time(), cpu_minutes()
    per_epoch = min(STEPS_PER_EPOCH, len(sequence))
    model.fit(
        sequence,
        steps_per_epoch=per_epoch,
        epochs=steps // per_epoch,
        callbacks=[StopAfter(minutes), *callbacks],
        verbose=2,
    )
    wall, cpu = (time.time() - start) / 60, cpu_minutes() - cpu
    print(f"training: {cpu:.1f} CPU minutes, {wall:.1f} minutes of wall time")
