"""What is checked on four CPU devices, in a process of its own."""

import sys

import keras
import numpy as np
import pytest
from networks import (
    chain,
    conv,
    fill,
    strided_unet,
    transposed,
    two_scales,
)

import keras_patching as kp
from keras_patching.models.detection.yolo_net import yolo_net

SIZES = [(90, 70), (50, 121), (201, 33), (64, 64), (13, 9), (40, 40)]


def images_of(channels=1):
    rng = np.random.default_rng(0)
    return [
        rng.uniform(0, 1, (*size, channels)).astype("float32") for size in SIZES
    ]


def detector():
    net = yolo_net((2, 2), 1, num_classes=1, filters=(4, 4), value_range=(0, 1))
    return kp.ObjectDetectionModel(
        net, 2, ((4, 5),), patch_size=32, overlap=8, value_range=(0, 1)
    )


def predict(model, images, **options):
    return list(model.predict_images(images, verbose=False, **options))


def assert_close(found, expected):
    for one, other in zip(found, expected, strict=True):
        one, other = map(keras.tree.flatten, (one, other))
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def count_compilations(function, *args, **kwargs):
    import jax

    counts = []

    def count(event, *_, **__):
        if event.endswith("backend_compile_duration"):
            counts.append(event)

    jax.monitoring.register_event_duration_secs_listener(count)
    try:
        function(*args, **kwargs)
    finally:
        jax.monitoring.clear_event_listeners()
    return len(counts)


def device_of(outputs):
    """Give, in the place of each pixel, the number of what computed it."""
    import jax

    try:
        number = jax.lax.axis_index("batch")
    except NameError:
        number = -1  # The shape of outputs is asked for, on no device.
    return outputs[..., :1] * 0 + number


def check_lanes_and_batches():
    """Devices share them, each does some, and results are those of one."""
    net = fill(strided_unet())
    models = {
        "streamed": kp.PatchedModel(net, patch_size=32, overlap="auto"),
        "patches": kp.PatchedModel(net, patch_size=32, overlap=16),
        "boxes": detector(),
    }
    images = {name: images_of() for name in models} | {"boxes": images_of(3)}
    options = {"boxes": {"score_threshold": 0.1}}
    alone = {
        name: predict(model, images[name], **options.get(name, {}))
        for name, model in models.items()
    }
    distribution = keras.distribution.DataParallel()
    with distribution.scope():
        for name, model in models.items():
            how = {**options.get(name, {}), "batch_size": 5}
            assert_close(predict(model, images[name], **how), alone[name])
        for name in ("streamed", "patches"):
            devices = predict(
                models[name], images[name], transform=device_of, batch_size=4
            )
            seen = {int(each) for image in devices for each in np.unique(image)}
            assert seen == {0, 1, 2, 3}, (name, seen)
        again = kp.PatchedModel(net, patch_size=32, overlap="auto")
        compiled = count_compilations(predict, again, images["streamed"])
        assert 1 <= compiled <= 3, compiled
        late = models["streamed"].predict_images(
            images["streamed"], verbose=False
        )
    # The distribution is that of the call.
    assert_close(late, alone["streamed"])
    with distribution.scope():
        made_there = kp.PatchedModel(
            fill(strided_unet()), patch_size=32, overlap="auto"
        )
        found = predict(made_there, images["streamed"])
    assert_close(found, alone["streamed"])
    assert_close(predict(made_there, images["streamed"]), found)


def normalized():
    """A net that looks at the whole image, so that patches would differ."""
    return chain(
        conv(4, 3, activation="relu"),
        keras.layers.GroupNormalization(2),
        conv(4, 3, strides=2, activation="relu"),
        keras.layers.GroupNormalization(2),
        transposed(2, 3, 2),
    )


def check_rows():
    """Devices share the rows of an image, which stays whole."""
    # Sums of all pixels are rounded otherwise, in float32.
    for make, outputs, tolerance in (
        (normalized, 1, 2e-5),
        (strided_unet, 1, 1e-6),
        (two_scales, 2, 1e-6),
    ):
        net = fill(make())
        model = kp.PatchedModel(net, patch_size=32, multiple_of=4)
        images = images_of()[:3]
        with keras.distribution.DataParallel().scope():
            found = predict(model, images, split="rows")
        for image, each in zip(images, found, strict=True):
            height, width = image.shape[:2]
            padding = [(0, -height % 4), (0, -width % 4), (0, 0)]
            expected = net.predict(np.pad(image, padding)[None], verbose=0)
            each = keras.tree.flatten(each)
            expected = keras.tree.flatten(expected)
            assert len(each) == len(expected) == outputs
            for one, other in zip(each, expected, strict=True):
                other = other[0, : one.shape[0], : one.shape[1]]
                atol = tolerance * np.abs(other).max()
                np.testing.assert_allclose(one, other, rtol=0, atol=atol)

    check_that_each_device_has_rows(model)
    check_what_cannot_be_whole()


def check_that_each_device_has_rows(model):
    import jax

    seen = []

    def look(outputs):
        jax.debug.inspect_array_sharding(outputs["full"], callback=seen.append)
        return outputs

    with keras.distribution.DataParallel().scope():
        predict(model, images_of()[3:4], split="rows", transform=look)
    (sharding,) = seen
    assert sharding.shard_shape((1, 64, 64, 1)) == (1, 16, 64, 1), sharding


def check_what_cannot_be_whole():
    one_size = keras.Sequential([keras.Input((32, 32, 1)), conv(1, 3)])
    apart = {"patch_size": 32, "stitch": False}
    with keras.distribution.DataParallel().scope():
        for model, message in (
            (kp.PatchedModel(one_size, 32), "patches of one size"),
            (kp.PatchedModel(fill(strided_unet()), **apart), "stitch=False"),
        ):
            with pytest.raises(ValueError, match=message):
                model.predict_images(images_of(), split="rows")


if __name__ == "__main__":
    {"lanes_and_batches": check_lanes_and_batches, "rows": check_rows}[
        sys.argv[1]
    ]()
