"""What is checked on four CPU devices, in a process of its own."""

import keras
import numpy as np
from networks import fill, strided_unet

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


if __name__ == "__main__":
    check_lanes_and_batches()
    print("done")
