"""What do boxes cost after `predict`, and does each image size cost anew?

The default detector, untrained, at patches of 448 with an overlap of 224, on
images of several sizes. Each size is predicted, merged and decoded twice; the
first time holds what is compiled for the size. About half of the boxes pass the
score threshold. The bar: from the second size on, the first `merge_predictions`
and `decode_predictions` of a size take at most 0.2 of predicting it again.

    python tests/benchmarks/decode_boxes.py
"""

import time

import keras
import numpy as np

import keras_patching as kp

SIZES = ((1344, 1008), (1008, 1344), (2000, 1500), (900, 2400), (700, 700))
PATCH, BAR = 448, 0.2
SCORE = 0.018  # what an untrained detector gives


def main():
    keras.utils.set_random_seed(0)
    model = kp.ObjectDetectionModel(overlap=PATCH // 2, patch_size=PATCH)
    print(
        f"backend {keras.backend.backend()}; seconds\n"
        f"{'image':>12}{'patches':>9}{'predict':>17}{'merge':>17}"
        f"{'decode':>17}{'first / predict again':>23}"
    )
    for number, size in enumerate(SIZES):
        print_size(model, size, is_first=number == 0)


def print_size(model, size, is_first):
    image = np.random.default_rng(0).integers(0, 256, (1, *size, 3), "uint8")
    predict = times(lambda: model.predict(image, verbose=0))
    raw = scattered(model.predict(image, verbose=0))
    merge = times(lambda: model.merge_predictions(raw, size, SCORE))
    decode = times(
        lambda: model.decode_predictions(raw, SCORE, image_size=size)
    )
    share = max(decode[0], merge[0]) / predict[1]
    verdict = "" if is_first else "holds" if share <= BAR else "MISSED"
    columns = "".join(
        f"{first:10.3f}{again:7.3f}"
        for first, again in (predict, merge, decode)
    )
    patches = raw.shape[1] * raw.shape[2]
    name = f"{size[0]}x{size[1]}"
    print(f"{name:>12}{patches:>9}{columns}{share:>16.2f} {verdict}")


def scattered(raw):
    """Give an untrained prediction the spread of a sure one."""
    noise = np.random.default_rng(0).normal(0, 1, raw.shape)
    return (raw + noise.reshape(raw.shape)).astype("float32")


def times(function):
    """Time a first and a second call."""
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
