"""What does a step of training of a detector cost besides its patch model?

Targets and loss of a batch of 16 patches, with their gradient, for grids of
more and more cells and for more and more objects that labels are padded to.
Both grow with the slots (cells times 5 anchors) and with the objects; the bar:
four times as many of one take at most eight times as long.

    python tests/benchmarks/yolo_loss.py
"""

import time

import keras
import numpy as np

import keras_patching as kp

BATCH, ANCHORS, BAR = 16, ((20, 20), (40, 40), (30, 60), (60, 30), (80, 80)), 8
CASES = ((14, 16), (28, 16), (14, 64), (14, 256))


def main():
    print(
        f"backend {keras.backend.backend()}\n"
        f"{'cells':>8}{'objects':>9}{'s per step':>12}{'ratio':>8}"
    )
    before = {}
    for cells, objects in CASES:
        seconds = step_seconds(cells, objects)
        last = before.get((cells // 2, objects))
        last = last or before.get((cells, objects // 4))
        before[cells, objects] = seconds
        ratio = verdict = ""
        if last:
            verdict = "holds" if seconds / last <= BAR else "MISSED"
            ratio = f"{seconds / last:.2f}"
        print(
            f"{cells**2:>8}{objects:>9}{seconds:>12.4f}{ratio:>8}   {verdict}"
        )


def step_seconds(cells, objects):
    """Time a step of a model that is hardly more than its loss."""
    size = 32 * cells
    net = keras.Sequential(
        [
            keras.Input((size, size, 1)),
            keras.layers.AveragePooling2D(32),
            keras.layers.Conv2D(len(ANCHORS) * 6, 1),
        ]
    )
    model = kp.ObjectDetectionModel(
        net, cells, ANCHORS, channels=1, patch_size=size
    )
    model.compile("sgd")
    rng = np.random.default_rng(0)
    low = rng.uniform(0, size - 90, (BATCH, objects, 2))
    boxes = np.concatenate([low, low + rng.uniform(9, 90, low.shape)], axis=-1)
    targets = {
        "boxes": boxes.astype("float32"),
        "labels": np.zeros((BATCH, objects), "int32"),
    }
    images = np.zeros((BATCH, size, size, 1), "float32")
    times = []
    for _ in range(6):
        start = time.perf_counter()
        model.train_on_batch(images, targets)
        times.append(time.perf_counter() - start)
    return min(times)


if __name__ == "__main__":
    main()
