"""Rare patches are drawn as often as asked, all of them equally often."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.feeding.epoch_sampler import EpochSampler


def draw(sampler, seed=0, shuffle=True):
    return sampler.draw(np.random.default_rng(seed), shuffle)


def patches(foreground, empty):
    return np.arange(foreground + empty) < foreground


def test_without_wishes_every_patch_is_seen_once():
    samples = draw(EpochSampler(patches(3, 17)))
    assert sorted(samples) == list(range(20))


def test_without_shuffling_patches_keep_their_order():
    samples = draw(EpochSampler(patches(3, 17)), shuffle=False)
    assert samples.tolist() == list(range(20))


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 1),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_fractions_hold(foreground, empty, fraction, keep_empty, seed):
    sampler = EpochSampler(patches(foreground, empty), fraction, keep_empty)
    samples = draw(sampler, seed)
    kept = foreground + round(keep_empty * empty)
    assert len(samples) == sampler.num_samples == kept
    counts = np.bincount(samples, minlength=foreground + empty)
    rare, others = counts[:foreground], counts[foreground:]
    assert rare.sum() == round(fraction * kept)
    for part in (rare, others):
        assert part.max() - part.min() <= 1


def test_a_part_of_the_empty_patches_is_another_in_the_next_epoch():
    sampler = EpochSampler(patches(2, 100), keep_empty=0.1)
    first, second = set(draw(sampler, 0)), set(draw(sampler, 1))
    assert len(first) == len(second) == 12
    assert {0, 1} <= first & second
    assert first != second


@pytest.mark.parametrize("fraction", [None, 0.5])
@pytest.mark.parametrize(("foreground", "empty"), [(3, 17), (8, 12), (20, 0)])
def test_other_patches_make_up_the_number_of_those_before(
    foreground, empty, fraction
):
    """Keras asks for it once, and training goes on where none are empty."""
    before = EpochSampler(patches(5, 15), fraction, keep_empty=0.2)
    flags = patches(foreground, empty)
    sampler = EpochSampler(flags, fraction, 0.2, before.num_samples)
    samples = draw(sampler)
    assert len(samples) == sampler.num_samples == before.num_samples == 8
    num_empty = round(0.2 * empty) if fraction is None else 4 * (empty > 0)
    assert (~flags[samples]).sum() == num_empty


def test_of_more_patches_than_before_as_many_are_seen():
    """As where others of those drawn anew lie in a part of a split."""
    flags = patches(4, 12)
    kept = np.arange(16) < 12  # of which 8 are empty
    sampler = EpochSampler(flags, num_samples=3, kept=kept)
    samples = draw(sampler)
    assert len(samples) == 3
    assert kept[samples].all()
    assert (~flags[samples]).sum() == 2


def test_the_same_seed_draws_the_same():
    sampler = EpochSampler(patches(5, 50), 0.5, 0.5)
    assert draw(sampler, 3).tolist() == draw(sampler, 3).tolist()


@pytest.mark.parametrize(
    ("foreground", "empty", "fraction", "keep_empty"),
    [(0, 5, 0.5, 1.0), (5, 0, 0.5, 1.0), (5, 5, 1.5, 1.0), (5, 5, None, -1)],
)
def test_what_cannot_be_drawn_is_refused(
    foreground, empty, fraction, keep_empty
):
    with pytest.raises(ValueError, match="Received"):
        EpochSampler(patches(foreground, empty), fraction, keep_empty)
