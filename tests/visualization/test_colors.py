"""Colours that can be told apart."""

import numpy as np

from keras_patching import visualization


def test_no_error_has_the_colour_of_a_class():
    errors = [
        visualization.MISSED,
        visualization.FALSE_ALARM,
        visualization.WRONG_CLASS,
    ]
    colors = np.array([*visualization.palette(30), *errors], float)
    for color in errors:
        distances = np.linalg.norm(colors - color, axis=1)
        assert np.sort(distances)[1] > 80, color
