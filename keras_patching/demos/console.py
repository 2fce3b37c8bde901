"""What all demonstrations share: their folder, printed steps and training."""

import os
import pathlib

import keras

from keras_patching import __version__
from keras_patching._printing import Progress, is_interactive, say
from keras_patching.data.images.image_io import write_image

_LEARNING_RATE = 0.003


def claim(out, task):
    """Make the folder of a task in `out`; refuse one that holds other files.

    Args:
        out: Path that a user named.
        task: Name of the task.

    Returns:
        `pathlib.Path` of the folder `out/task`.

    Raises:
        ValueError: If `out` holds files that are not of a demo.
    """
    out = pathlib.Path(out)
    marker = out / ".keras-patching-demo"
    if out.exists() and not marker.exists() and any(out.iterdir()):
        raise ValueError(
            f"{out}: holds files that are not of a demo, which could be "
            "overwritten. Pass an empty or a new folder with --out."
        )
    (out / task).mkdir(parents=True, exist_ok=True)
    marker.touch()
    return out / task


def print_setup():
    """Print versions, backend and device."""
    say(
        f"keras_patching {__version__}, Keras {keras.__version__}\n"
        f"Backend {keras.backend.backend()}, device {_device()}, "
        f"{os.cpu_count()} CPU cores"
    )


def _device():
    """Name the device that tensors live on."""
    if keras.backend.backend() == "jax":
        return keras.distribution.list_devices()[0]
    device = str(keras.ops.zeros(1).device)
    return device.rpartition("device:")[2].lower()


def print_step(title, *calls):
    """Print what is done next, and the calls that it stands for."""
    say(f"\n{title}")
    for call in calls:
        say(f"  {call}")


def with_progress(images):
    """Yield from a list, and show how far it is read."""
    progress = Progress(len(images), "image")
    for image in images:
        yield image
        progress.add(1)


def train(model, sequence, epochs, callbacks=None):
    """Compile and fit a task model.

    Args:
        model: A task model.
        sequence: `PatchingSequence` to train on.
        epochs: Number of times to go through all patches.
        callbacks: Dict from the call that is printed for a callback to it.
    """
    callbacks = callbacks or {}
    arguments = f"epochs={epochs}"
    if callbacks:
        arguments += f", callbacks=[{', '.join(callbacks)}]"
    print_step(
        f"Train on {sequence.num_samples} patches of "
        f"{len(sequence.image_names)} images, a net of "
        f"{model.patch_model.count_params():,} weights",
        "model.compile(keras.optimizers.Adam(learning_rate))  # falls from "
        f"{_LEARNING_RATE}",
        f"model.fit(train, {arguments})",
    )
    steps = len(sequence) * epochs
    model.compile(keras.optimizers.Adam(_learning_rate(steps)))
    model.fit(
        sequence,
        epochs=epochs,
        callbacks=[*callbacks.values()],
        # A line an epoch, where Keras's bar cannot be drawn.
        verbose=1 if is_interactive() else 2,
    )


def _learning_rate(steps):
    """Warm up, then fall to almost zero, which so few epochs gain from."""
    return keras.optimizers.schedules.CosineDecay(
        _LEARNING_RATE / 10,
        steps,
        alpha=0.02,
        warmup_target=_LEARNING_RATE,
        warmup_steps=min(20, steps // 5),
    )


def write_pictures(directory, images, figure, call):
    """Draw and write a picture per image.

    Args:
        directory: Folder to write to.
        images: List of the paths of the images.
        figure: Callable from the number of an image to uint8 `(height, width,
            3)`.
        call: What to print that it stands for.

    Returns:
        The paths of the pictures.
    """
    print_step("Draw what it found, beside the truth", call)
    directory.mkdir(exist_ok=True)
    pictures = [directory / f"{path.stem}.png" for path in images]
    for index in with_progress(range(len(images))):
        write_image(pictures[index], figure(index))
    return pictures


def save(model, directory):
    """Save a model; return its path."""
    path = directory / "model.keras"
    print_step("Keep the model", f"model.save({str(path)!r})")
    model.save(path)
    return path


def print_end(pictures, model, seconds):
    """Print where everything is, and what it took."""
    for picture in pictures:
        say(f"Picture  {picture}")
    say(f"Model    {model}")
    say(f"Took {seconds:.0f} seconds.")
