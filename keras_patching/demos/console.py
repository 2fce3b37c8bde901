"""The steps that all demonstrations share, each printed with its call."""

import os
import pathlib

import keras

from keras_patching import __version__
from keras_patching._printing import Progress, is_interactive, say
from keras_patching.data.images.image_io import read_image, write_image

_LEARNING_RATE = 0.003


def begin(out, task, seed):
    """Claim a folder, seed what is random, and print what runs.

    Args:
        out: Path that a user named.
        task: Name of the task.
        seed: Integer.

    Returns:
        `pathlib.Path` of the folder `out/task`.

    Raises:
        ValueError: If `out` holds files that are not of a demo.
    """
    directory = _claim(pathlib.Path(out), task)
    keras.utils.set_random_seed(seed)
    say(
        f"keras_patching {__version__}, Keras {keras.__version__}\n"
        f"Backend {keras.backend.backend()}, device {_device()}, "
        f"{os.cpu_count()} CPU cores"
    )
    return directory


def _claim(out, task):
    """Make the folder of a task in `out`; refuse one that holds other files."""
    marker = out / ".keras-patching-demo"
    if out.exists() and not marker.exists() and any(out.iterdir()):
        raise ValueError(
            f"{out}: holds files that are not of a demo, which could be "
            "overwritten. Pass an empty or a new folder with --out."
        )
    (out / task).mkdir(parents=True, exist_ok=True)
    marker.touch()
    return out / task


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


def _with_progress(images):
    """Yield from a list, and show how far it is read."""
    progress = Progress(len(images), "image")
    for image in images:
        yield image
        progress.add(1)


def draw_field(
    write, what, result, directory, num_images, size, seed, **options
):
    """Draw the images of a data set.

    Args:
        write: Function of `drawing.fields` that does it.
        what: What is drawn beside the images, as "their masks".
        result: Names of what it returns, as a user would write them.
        directory, num_images, size, seed, options: Its arguments.

    Returns:
        What `write` does.
    """
    height, width = size
    more = "".join(f", {name}={value}" for name, value in options.items())
    print_step(
        f"Draw {num_images} images of {height} x {width} pixels, and {what}",
        f"{result} = {write.__name__}(",
        f'    "{directory}", {num_images}, {size}, seed={seed}{more})',
    )
    return write(directory, num_images, size, seed, verbose=True, **options)


def load_patches(model, made_with, load, images, labels, written_as, **options):
    """Cut images into patches, and hold out a fifth of the images.

    Args:
        model: Task model with a patch size, whose making is printed.
        made_with: Its first argument, as `"num_classes=2"`.
        load: Its method that loads a data set of images and labels.
        images: Folder of images.
        labels: Their labels, as `load` takes them.
        written_as: How a user would write `labels`.
        options: More arguments of `load`.

    Returns:
        Two `PatchingSequence`: to train on, and of the images held out.
    """
    height, width = model.patch_size
    more = ", ".join(f"{name}={value}" for name, value in options.items())
    print_step(
        f"Cut them into patches of {height} x {width} pixels, and "
        "hold out a fifth of the images",
        f"model = keras_patching.{type(model).__name__}({made_with}, "
        f"overlap={model.predictor.overlap[0]})",
        f"model.set_patch_size(height={height}, width={width})",
        f"train, held_out = model.{load.__name__}(",
        f'    images, {written_as}, subset="both", validation_split=0.2,',
        f"    {more})",
    )
    return load(images, labels, subset="both", validation_split=0.2, **options)


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


def predict(model, paths, *calls):
    """Yield each image of a list of paths, and what is predicted of it.

    Args:
        model: A task model.
        paths: Paths of the images.
        *calls: What to print that it stands for.

    Yields:
        The image, and the prediction of it as a batch of one.
    """
    print_step(
        f"Predict {len(paths)} whole images that it has not seen", *calls
    )
    for path in _with_progress(paths):
        image = read_image(path)
        yield image, model.predict(image[None], verbose=0)


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
    for index in _with_progress(range(len(images))):
        write_image(pictures[index], figure(index))
    return pictures


def save(model, directory):
    """Save a model; return its path."""
    path = directory / "model.keras"
    print_step("Keep the model", f"model.save({str(path)!r})")
    model.save(path)
    return path


def print_two_scores(title, scores):
    """Print the score of the model, and of colour alone."""
    say(
        f"\n{title}\n"
        f"  model                  {scores['model']:.3f}\n"
        f"  thresholding of green  {scores['threshold']:.3f}\n"
    )


def print_end(pictures, model, seconds):
    """Print where everything is, and what it took."""
    for picture in pictures:
        say(f"Picture  {picture}")
    say(f"Model    {model}")
    say(f"Took {seconds:.0f} seconds.")
