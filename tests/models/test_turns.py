"""Threads that use one model get what one thread gets."""

import concurrent.futures
import copy
import pickle
import threading
import time
import warnings

import keras
import numpy as np
import pytest

from keras_patching import PatchedModel
from keras_patching.models.turns import Turns

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


@pytest.mark.parametrize("kind", [list, keras.callbacks.CallbackList])
def test_a_thread_predicts_while_another_trains(kind):
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
            callbacks=kind([WaitForAnother()]),
            verbose=0,
        )
        assert predicted  # In the middle of the training.
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


def test_who_is_interrupted_while_giving_way_has_the_turn_again():
    turns = Turns(patience=0.02)
    has_turn = threading.Event()
    is_over, found = [], []

    def train():
        with turns:
            has_turn.set()
            try:
                while True:
                    turns.give_way()
            except UserWarning:  # An exception that comes while it waits.
                found.extend(is_over)
                with turns as is_new:
                    found.append(is_new)

    trainer = threading.Thread(target=train)
    trainer.start()
    has_turn.wait()
    with turns:
        trainer.join(0.2)
        is_over.append("the turn of the other one")
    trainer.join(60)
    assert found == ["the turn of the other one", False]
    with turns as is_new:
        assert is_new


def test_a_thread_that_waits_long_says_for_whom():
    turns = Turns(patience=0.02)

    def predict():
        with turns:
            return "predicted"

    with (
        warnings.catch_warnings(record=True) as told,
        concurrent.futures.ThreadPoolExecutor(1) as thread,
    ):
        warnings.simplefilter("always")
        with turns:
            waiting = thread.submit(predict)
            while not (told or waiting.done()):
                time.sleep(0.01)
            assert not waiting.done()
        assert waiting.result() == "predicted"
    name = threading.current_thread().name
    assert f"thread '{name}' uses" in str(told[0].message)


def test_who_does_not_have_the_turn_gives_none_away():
    turns = Turns()
    with concurrent.futures.ThreadPoolExecutor(1) as thread, turns:
        thread.submit(turns.give_way).result()
        with turns as is_new:
            assert not is_new


def test_another_thread_evaluates_at_the_end_of_an_epoch():
    model = make_model()
    patches, targets = IMAGES[:, :8, :8], np.zeros((2, 8, 8, 2), "float32")
    waiting = []

    def evaluate():
        return model.evaluate(patches, targets, verbose=0)

    class Evaluate(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            waiting.append(thread.submit(evaluate))
            if keras.backend.backend() != "jax":  # There it is after `fit`.
                waiting[0].result(60)

    with concurrent.futures.ThreadPoolExecutor(1) as thread:
        model.fit(patches, targets, callbacks=[Evaluate()], verbose=0)
        assert waiting[0].result(60) == evaluate()
