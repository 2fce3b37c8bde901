"""A heatmap that comes in bands gives what it gives as a whole."""

import tracemalloc

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import keras_patching as kp
from keras_patching.models.counting.counted_bands import CountedBands


@pytest.fixture(scope="module")
def model():
    net = keras.Sequential(
        [keras.Input((None, None, 1)), keras.layers.Conv2D(1, 1)]
    )
    return kp.HeatmapObjectCountingModel(net, density_map_sigma=1.5)


def count_bands(model, heatmap, cuts, min_score=0.3, min_distance=2.0):
    """Hand over a heatmap cut before each of some rows."""
    counted = CountedBands(model.peak_density, min_score, min_distance)
    for band in np.split(heatmap, sorted(cuts)):
        # Its memory is used again.
        band = band.copy()
        counted.add(0, band)
        band[:] = 7
    return counted.finish()


# Few values: plateaus and ties everywhere, some across bands.
scores = st.sampled_from([-0.5, 0.0, 0.25, 0.5, 1.0, 1.25])
heatmaps = arrays(
    "float32",
    array_shapes(min_dims=2, max_dims=2, max_side=24),
    elements=scores,
)


@settings(max_examples=200, deadline=None)
@given(
    st.data(),
    heatmaps,
    st.sampled_from([0.0, 0.3, 1.0]),
    st.sampled_from([0.0, 1.0, 1.5, 2.0, 3.7, 9.0]),
)
def test_bands_of_any_heights_give_what_the_whole_gives(
    model, data, heatmap, min_score, min_distance
):
    heatmap = heatmap[..., None] * np.float32(model.peak_density)
    cuts = data.draw(st.sets(st.integers(1, max(1, len(heatmap) - 1))))
    found = count_bands(model, heatmap, cuts, min_score, min_distance)
    (expected,) = model.locate(heatmap[None], min_score, min_distance)
    for part, whole in zip(
        (found["points"], found["scores"]), expected, strict=True
    ):
        np.testing.assert_array_equal(part, whole, strict=True)
    count = model.decode_predictions(heatmap[None])[0]
    size = float(np.abs(heatmap).sum())
    np.testing.assert_allclose(found["count"], count, rtol=0, atol=1e-6 * size)


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 40),
    st.floats(0, 12),
)
def test_smooth_heatmaps_row_by_row_give_what_the_whole_gives(
    model, seed, height, min_distance
):
    rng = np.random.default_rng(seed)
    heatmap = rng.random((height, 30, 1), "float32").cumsum(axis=0) % 3
    found = count_bands(model, heatmap, range(1, height), 0.3, min_distance)
    points, found_scores = model.locate(heatmap[None], 0.3, min_distance)[0]
    np.testing.assert_array_equal(found["points"], points)
    np.testing.assert_array_equal(found["scores"], found_scores)


def test_memory_is_that_of_a_few_rows(model):
    counted = CountedBands(model.peak_density, 0.3, 2.0)
    row = np.zeros((1, 1000, 1), "float32")
    tracemalloc.start()
    for _ in range(300):
        counted.add(0, row)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 50 * row.nbytes


def test_nan_in_a_band_is_the_error_of_a_whole_heatmap(model):
    heatmap = np.zeros((4, 5, 1), "float32")
    heatmap[2, 3] = np.nan
    counted = CountedBands(model.peak_density, 0.3, 2.0)
    counted.add(0, heatmap[:2])
    messages = []
    for give in (
        lambda: counted.add(0, heatmap[2:]),
        lambda: model.locate(heatmap[None]),
    ):
        with pytest.raises(ValueError, match="values are NaN") as raised:
            give()
        messages.append(str(raised.value).split("Received")[0])
    assert messages[0] == messages[1]
