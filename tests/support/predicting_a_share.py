"""Predicts the share of one of two processes: number, port, folder."""

import sys

import keras
from networks import fill, strided_unet
from predicting_on_devices import images_of

import keras_patching as kp


def predict_share(number, port, folder):
    # Without a seed Keras agrees on one in a way that jax does not take.
    keras.utils.set_random_seed(0)
    keras.distribution.initialize(f"127.0.0.1:{port}", 2, number)
    keras.distribution.set_distribution(
        keras.distribution.DataParallel(auto_shard_dataset=False)
    )
    model = kp.PatchedModel(fill(strided_unet()), patch_size=32, overlap="auto")
    model.predict_images(
        images_of(),
        out=f"{folder}/{{name}}.npy",
        shard=(number, 2),
        verbose=False,
    )


if __name__ == "__main__":
    number, port, folder = sys.argv[1:]
    predict_share(int(number), int(port), folder)
