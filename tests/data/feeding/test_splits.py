import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_patching.data.feeding.splits import split_names

names_lists = st.lists(
    st.text("abcdef0123", min_size=1, max_size=8), min_size=2, unique=True
)
fractions = st.floats(0.01, 0.99)


@given(names_lists, fractions, st.integers(0, 9))
def test_every_name_is_on_one_side_and_no_side_is_empty(names, split, seed):
    training, validation = split_names(names, split, seed)
    assert sorted(training + validation) == sorted(names)
    assert training
    assert validation
    wanted = max(int(split * len(names)), 1)
    assert len(validation) == wanted


@given(names_lists, fractions, st.randoms(use_true_random=False))
def test_the_order_of_listing_does_not_matter(names, split, random):
    names += ["first", "second"]  # two groups at the least
    expected = split_names(names, split, 3, groups=lambda name: name[:2])
    random.shuffle(names)
    found = split_names(names, split, 3, groups=lambda name: name[:2])
    assert found == expected


@settings(max_examples=50)
@given(
    st.lists(st.integers(1, 5), min_size=2, max_size=8),
    fractions,
    st.integers(0, 3),
)
def test_whole_groups_come_as_near_as_they_can(sizes, split, seed):
    names = [f"{g}-{i}" for g, size in enumerate(sizes) for i in range(size)]
    _, validation = split_names(
        names, split, seed, groups=lambda name: name.split("-")[0]
    )
    taken = {name.split("-")[0] for name in validation}
    assert len(validation) == sum(sizes[int(group)] for group in taken)
    totals = {
        sum(subset)
        for k in range(1, len(sizes))
        for subset in itertools.combinations(sizes, k)
    }
    wanted = max(int(split * len(names)), 1)
    best = min(abs(total - wanted) for total in totals)
    assert abs(len(validation) - wanted) == best


def test_seeds_draw_different_splits_and_none_is_seed_zero():
    names = [f"{i}.png" for i in range(100)]
    splits = {tuple(split_names(names, 0.2, seed)[1]) for seed in range(10)}
    assert len(splits) == 10
    assert split_names(names, 0.2) == split_names(names, 0.2, 0)


def test_an_added_image_hardly_changes_the_split():
    names = [f"{i}.png" for i in range(100)]
    _, before = split_names(names, 0.2)
    _, after = split_names([*names, "new.png"], 0.2)
    assert len(set(before) ^ set(after)) <= 2


@given(st.integers(3, 40), st.integers(0, 9), st.booleans())
def test_a_test_set_is_taken_from_training_alone(count, seed, in_groups):
    names = [f"{i // 3 if in_groups else i}-{i}" for i in range(count + 9)]
    options = {"seed": seed}
    if in_groups:
        options["groups"] = lambda name: name.split("-")[0]
    _, before = split_names(names, 0.2, **options)
    training, validation, test = split_names(
        names, 0.2, test_split=0.1, **options
    )
    assert validation == before
    assert sorted(training + validation + test) == sorted(names)
    assert training
    assert abs(len(test) - max(int(0.1 * len(names)), 1)) <= 2 * in_groups
    if in_groups:
        parts = [{n.split("-")[0] for n in p} for p in (training, before, test)]
        assert sum(map(len, parts)) == len(set.union(*parts))


@pytest.mark.parametrize(
    ("names", "validation_split", "test_split", "message"),
    [
        ("ab", 0.3, 0.3, "found 2 images"),
        ("abc", 0.7, 0.1, "split off less"),
        ("abc", 0.7, 0.3, "sum must be below 1"),
        ("abc", 0.7, 0, "`test_split` must be between 0 and 1"),
    ],
)
def test_what_leaves_no_part_for_each_is_refused(
    names, validation_split, test_split, message
):
    with pytest.raises(ValueError, match=f"{message}.*test_split={test_split}"):
        split_names([*names], validation_split, test_split=test_split)


@pytest.mark.parametrize("split", [0, 1, -0.5, 1.5])
def test_a_split_outside_0_and_1_is_refused(split):
    with pytest.raises(ValueError, match="Received: validation_split="):
        split_names(["a", "b"], split)


def test_what_cannot_be_split_is_refused():
    with pytest.raises(ValueError, match="found 1 images"):
        split_names(["a.png"], 0.5)
    with pytest.raises(ValueError, match=r"3 images in 1 group\(s\)"):
        split_names(["a1", "a2", "a3"], 0.5, groups=lambda name: name[0])
