"""A function is mapped over numbers, a few at a time."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import ops

from keras_patching.ops.chunks import map_chunks, patches_per_chunk


@given(count=st.integers(1, 40), chunk_size=st.integers(1, 12))
@settings(max_examples=8, deadline=None)
def test_each_number_is_mapped_in_its_place(count, chunk_size):
    seen = []

    def square_and_pair(numbers):
        seen.append(numbers.shape[0])
        pair = ops.stack([numbers, numbers], axis=1)
        return {"square": ops.square(numbers), "pair": pair}

    outputs = map_chunks(square_and_pair, count, chunk_size)
    numbers = np.arange(count)
    np.testing.assert_array_equal(
        ops.convert_to_numpy(outputs["square"]), numbers**2
    )
    np.testing.assert_array_equal(
        ops.convert_to_numpy(outputs["pair"]),
        np.stack([numbers, numbers], axis=1),
    )
    assert max(seen) <= chunk_size


@pytest.mark.parametrize("size", [(4, 4), (256, 256), (4096, None)])
def test_a_chunk_has_at_least_one_patch(size):
    assert 1 <= patches_per_chunk(size) <= 32


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow",
    reason="Only tensorflow's graphs have counts that they do not know.",
)
@pytest.mark.parametrize(
    ("count", "sizes"), [(3, [3]), (16, [8] * 2), (20, [7] * 3)]
)
def test_chunks_of_an_unknown_count_are_as_large_as_they_may(count, sizes):
    import tensorflow as tf

    def size_of_chunk(numbers):
        return numbers * 0 + ops.shape(numbers)[0]

    @tf.function(input_signature=[tf.TensorSpec((), "int32")])
    def unknown(count):
        return map_chunks(size_of_chunk, count, 8)

    expected = np.repeat(sizes, sizes[0])[:count]
    np.testing.assert_array_equal(unknown(count), expected)
