"""Calls of a net may be repeated, also of other layers."""

import keras

from keras_patching.receptive_fields.calls import Call


def test_a_call_of_another_layer_has_the_arguments_of_that_layer():
    tensor = keras.KerasTensor((None, None, None, 1))
    call = Call(keras.layers.ReLU(), (tensor,), {}, None)
    assert call.argument("inputs") is tensor
    other = call.with_operation(keras.layers.Dropout(0.5))
    assert other.argument("training") is False
