"""Threads that use one model get what one thread gets."""

import concurrent.futures
import copy
import pickle

import keras
import numpy as np

from keras_patching import PatchedModel

IMAGES = np.random.default_rng(0).random((2, 20, 30, 3)).astype("float32")


def make_model():
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 3, padding="same"),
        ]
    )
    model = PatchedModel(patch_model, patch_size=8, overlap=2)
    model.compile("sgd", "mse")
    return model


def test_threads_predict_evaluate_and_call_one_model(tmp_path):
    make_model().save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")
    expected = model.predict(IMAGES, verbose=0)
    targets = np.zeros_like(expected)
    loss = np.mean(expected**2)

    def use(index):
        kind = index % 4
        if kind == 0:
            return model.predict(IMAGES, verbose=0), expected
        if kind == 1:
            return model.predict_on_batch(IMAGES), expected
        if kind == 2:
            return keras.ops.convert_to_numpy(model(IMAGES)), expected
        return model.evaluate(IMAGES, targets, verbose=0), loss

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        for found, true in threads.map(use, range(24)):
            np.testing.assert_allclose(found, true, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        model.predict(IMAGES, verbose=0), expected, atol=1e-5
    )


def test_a_thread_predicts_while_another_trains():
    model = make_model()
    expected = model.predict(IMAGES, verbose=0)
    patches, targets = IMAGES[:, :8, :8], np.zeros((2, 8, 8, 2), "float32")
    model.compile(keras.optimizers.SGD(0.0), "mse")
    predicted = []

    def predict():
        predicted.append(model.predict(IMAGES, verbose=0))

    class WaitForAnother(keras.callbacks.Callback):
        """Ends the training after another thread has predicted."""

        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = bool(predicted)
            np.testing.assert_allclose(logs["loss"], loss, rtol=1e-4)
            # Of the thread that trains, in its turn.
            predict_here = model.predict(IMAGES, verbose=0)
            np.testing.assert_allclose(predict_here, expected, atol=1e-5)

    loss = model.evaluate(patches, targets, verbose=0)
    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(predict)
        model.fit(
            patches,
            targets,
            batch_size=1,
            epochs=500,
            callbacks=[WaitForAnother()],
            verbose=0,
        )
        waiting.result()
    np.testing.assert_allclose(predicted[0], expected, atol=1e-5)


def test_what_makes_threads_wait_is_neither_copied_nor_saved():
    model = make_model()
    expected = model.predict(IMAGES, verbose=0)
    copies = copy.deepcopy(model), pickle.loads(pickle.dumps(model))
    for each in (*copies, keras.models.clone_model(model)):
        each.set_weights(model.get_weights())
        np.testing.assert_allclose(
            each.predict(IMAGES, verbose=0), expected, atol=1e-5
        )
