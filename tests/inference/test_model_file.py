"""A file that is no model of ours is told in a sentence that helps."""

import keras
import numpy as np
import pytest

from keras_patching import SemanticSegmentationModel
from keras_patching.inference import load_model


class Odd(keras.layers.Layer):
    """A layer that Keras does not know by itself."""

    def call(self, inputs):
        return inputs


def make_net(*layers):
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            *layers,
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )


def save(net, path):
    model = SemanticSegmentationModel(2, patch_model=net, patch_size=8)
    model.build((None, None, None, 3))
    model.save(path)
    return path


def test_a_layer_that_is_not_known_is_named_and_can_be_imported(tmp_path):
    path = save(make_net(Odd()), tmp_path / "model.keras")
    with pytest.raises(ValueError, match="Could not locate class 'Odd'"):
        load_model(path)
    with keras.saving.custom_object_scope({"Odd": Odd}):  # as an import does
        assert load_model(path).patch_size == (8, 8)


def test_a_patch_model_alone_becomes_a_task_model_as_told(tmp_path):
    path = tmp_path / "plain.keras"
    make_net().save(path)
    with pytest.raises(ValueError, match="with `patch_model=` this model"):
        load_model(path)
    mended = save(keras.saving.load_model(path), tmp_path / "mended.keras")
    assert load_model(mended).patch_size == (8, 8)


def test_half_a_file_is_not_called_missing(tmp_path):
    path = save(make_net(), tmp_path / "model.keras")
    content = path.read_bytes()
    for half in (content[: len(content) // 2], b""):
        path.write_bytes(half)
        with pytest.raises(ValueError, match="it is none, or only a part"):
            load_model(path)


def test_a_folder_is_told_from_a_file(tmp_path):
    with pytest.raises(ValueError, match="is a folder, such as"):
        load_model(tmp_path)


def test_what_the_hugging_face_hub_holds_is_a_folder_that_is_loaded(tmp_path):
    with pytest.raises(ValueError, match=r'snapshot_download\("me/field"\)'):
        load_model("hf://me/field")
    model = SemanticSegmentationModel(2, patch_model=make_net(), patch_size=8)
    folder = tmp_path / "field"
    model.save(folder, zipped=False)  # As Keras writes before it uploads.
    images = np.random.default_rng(0).uniform(0, 255, (1, 20, 11, 3))
    np.testing.assert_allclose(
        load_model(folder).predict(images, verbose=0),
        model.predict(images, verbose=0),
        atol=1e-6,
    )
