"""Runs LiteRT files before they are handed out, as not all of them run.

The converter of tensorflow says nothing of it.
"""

import os
import pathlib
import shutil
import tempfile
import warnings

import keras
import numpy as np

# Of the largest value: files that are right differ by about 1e-6, those with
# options such as `optimizations` as far as numbers of 8 bits do.
_TOLERANCE = 1e-3
_ROUGH_TOLERANCE = 0.1


def write_checked(write, model, filepath, spec, is_rough=False):
    """Write a LiteRT file, run it, and keep it if it predicts the same.

    Args:
        write: Writes the file to a path.
        model: The `PatchedModel` that it is made of.
        filepath: Where the file is to be.
        spec: `keras.InputSpec` of the images.
        is_rough: Whether it is to compute in other numbers than the model.

    Raises:
        ValueError: If LiteRT does not run it, or predicts something else. What
            was at `filepath` is still there.
    """
    tolerance = _ROUGH_TOLERANCE if is_rough else _TOLERANCE
    target = pathlib.Path(filepath)
    folder = tempfile.mkdtemp(prefix=f".{target.stem}_", dir=target.parent)
    try:
        path = os.path.join(folder, target.name)
        write(path)
        for images in _examples(model, spec):
            _check(path, model, images, tolerance)
        os.replace(path, target)
    finally:
        shutil.rmtree(folder)


def _examples(model, spec):
    """Yield images of a few sizes, as far as any is taken."""
    black, white = getattr(model, "value_range", (0, 1))
    longer, shorter = (2 * max(model.patch_size) + 1, 2), (3, 1)
    for length, batch_size in (longer, shorter):
        shape = [length if each is None else each for each in spec.shape]
        shape[0] = spec.shape[0] or batch_size
        images = np.random.default_rng(0).uniform(black, white, shape)
        yield images.astype(spec.dtype)
        if None not in spec.shape:
            return


def _check(path, model, images, tolerance):
    expected = keras.tree.map_structure(
        keras.ops.convert_to_numpy, model(images, training=False)
    )
    try:
        found = run_litert(path, images)
    except (RuntimeError, ValueError) as error:
        raise ValueError(
            f"LiteRT does not run what '{model.name}' is converted to: "
            f"{str(error).strip()}. So no file was written. Most often it is "
            "that convolutions of images of unknown size are not converted: "
            "export batches of one size, `input_signature=[keras.InputSpec("
            'shape=(1, 1024, 1024, 3), dtype="float32")]`, or have patches '
            "of one size, `set_tiling(overlap=32, multiple_of=8)` in the "
            'place of overlap="auto" or `shrink`.'
        ) from error
    flat = [np.asarray(each) for each in keras.tree.flatten(expected)]
    for one, other in zip(flat, found, strict=True):
        largest = max(float(np.abs(one).max()), 1.0)
        is_alike = one.shape == other.shape and np.allclose(
            one, other, rtol=0, atol=tolerance * largest
        )
        if not is_alike:
            raise ValueError(
                f"LiteRT predicts something else than '{model.name}' from "
                f"what it is converted to, at images of {images.shape}. So no "
                'file was written: export format="onnx" or "openvino" instead.'
            )


def run_litert(path, images):
    """Run a LiteRT file.

    Args:
        path: Path of the file.
        images: Array.

    Returns:
        List of arrays: its outputs, as `keras.tree.flatten` orders them.
    """
    with warnings.catch_warnings():
        # That of tensorflow says it will move to a package of its own.
        warnings.simplefilter("ignore")
        interpreter = _interpreter_class()(model_path=path)
    run = interpreter.get_signature_runner()
    (name,) = run.get_input_details()
    outputs = run(**{name: images})
    names = sorted(outputs, key=lambda name: (len(name), name))
    if not all(name.startswith("output_") for name in names):
        names = sorted(outputs)
    return [outputs[name] for name in names]


def _interpreter_class():
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        import tensorflow as tf

        Interpreter = tf.lite.Interpreter
    return Interpreter
