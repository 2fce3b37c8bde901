"""Each class that users make, save and compile with has its check."""

import pathlib
import re

import keras

import keras_patching

TESTS = pathlib.Path(__file__).parent
CALL = re.compile(
    r"\bcheck_(?:layer|task_model|loss|metric|callback)"
    r"\(\s*(?:\w+\.)*(?P<cls>\w+)"
)


def names_of_checked_classes():
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text("utf-8")
        for call in CALL.finditer(text):
            if call["cls"] != "cls":
                yield call["cls"]
        for listed in re.findall(r'parametrize\("cls", \[(.*?)\]\)', text):
            yield from listed.split(", ")


def test_each_registered_class_has_its_check():
    registered = {
        value.__name__
        for name, value in keras.saving.get_custom_objects().items()
        if name.startswith("keras_patching>")
    }
    callbacks = set(keras_patching.callbacks.__all__)
    assert {"PatchedPredictor", "PatchedModel", "YoloLoss"} <= registered
    assert registered | callbacks == set(names_of_checked_classes())
