"""Few patches are picked that show every class, and much of it."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.inspection.picking import pick_patches


@given(
    st.lists(
        st.tuples(*[st.integers(0, 3)] * 4).filter(any),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 30),
)
def test_picked_patches_show_every_class(pixels, count):
    pixels = np.array(pixels)
    picked = pick_patches(pixels, count)
    assert picked == pick_patches(pixels, count)
    assert len(set(picked)) == len(picked) <= max(count, 4)
    assert pixels[picked].any(axis=0).tolist() == pixels.any(axis=0).tolist()


def test_of_a_class_those_are_picked_that_hold_much_of_it():
    pixels = np.ones((100, 2), int)
    pixels[::2, 1] = 50
    assert {1, 50} >= set(pixels[pick_patches(pixels, 10), 1])
    assert (pixels[pick_patches(pixels, 10), 1] == 50).sum() >= 5
