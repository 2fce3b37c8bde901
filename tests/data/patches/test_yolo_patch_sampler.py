"""Plans against a brute-force search over every origin, in exact fractions."""

import concurrent.futures
import fractions
import json
import math
import multiprocessing

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from keras_patching.data.patches.yolo_patch_sampler import (
    PlannedPatch,
    YoloPatchSampler,
    boxes_in_patch,
    describe_coverage,
)

# Powers of two: floats hold such coordinates, and centers, exactly.
FRACTIONS_OF_A_PIXEL = (1, 2, 16)


@st.composite
def axes(draw):
    """Draw lengths of an image and a patch, and cells: along one axis."""
    patch = draw(st.integers(1, 9))
    return draw(st.integers(1, 14)), patch, draw(st.integers(1, patch))


@st.composite
def spans(draw, length):
    """Draw the two ends of a box along an axis of the image."""
    parts = draw(st.sampled_from(FRACTIONS_OF_A_PIXEL))
    ends = st.integers(0, length * parts)
    low, high = draw(st.tuples(ends, ends).filter(lambda e: e[0] != e[1]))
    return min(low, high) / parts, max(low, high) / parts


@st.composite
def cases(draw, min_boxes=0):
    """Draw `(image_size, patch_size, grid_size, boxes)`."""
    y_axis, x_axis = draw(axes()), draw(axes())
    image_size, patch_size, grid_size = zip(y_axis, x_axis, strict=True)
    corners = draw(
        st.lists(
            st.tuples(spans(image_size[0]), spans(image_size[1])),
            min_size=min_boxes,
            max_size=4,
        )
    )
    boxes = [[x1, y1, x2, y2] for (y1, y2), (x1, x2) in corners]
    return image_size, patch_size, grid_size, boxes


def cell_of(box, origin, patch_size, grid_size):
    """Return the (row, col) that an encoder gives a box, None if outside."""
    x1, y1, x2, y2 = (fractions.Fraction(value) for value in box)
    cell = []
    for center, start, length, cells in zip(
        ((y1 + y2) / 2, (x1 + x2) / 2),
        origin,
        patch_size,
        grid_size,
        strict=True,
    ):
        cell.append(math.floor((center - start) * cells / length))
        if not 0 <= cell[-1] < cells:
            return None
    return tuple(cell)


def all_origins(image_size, patch_size):
    height, width = (
        max(image, patch) - patch + 1
        for image, patch in zip(image_size, patch_size, strict=True)
    )
    return [(y, x) for y in range(height) for x in range(width)]


def cells_by_brute_force(image_size, patch_size, grid_size, boxes):
    """Return the cells that some box can be put into."""
    return {
        cell_of(box, origin, patch_size, grid_size)
        for origin in all_origins(image_size, patch_size)
        for box in boxes
    } - {None}


def covered_cells(sampler, image_size, boxes):
    """Return the cells that have a patch, row-major."""
    coverage = sampler.coverage(image_size, boxes)
    assert coverage.shape == sampler.grid_size
    assert set(coverage.flat) <= {0, 1}
    return [tuple(cell) for cell in np.argwhere(coverage).tolist()]


def of_stage(plan, stage):
    return [patch for patch in plan if patch.stage == stage]


def random_boxes(count, image_size, seed=0, longest=40):
    rng = np.random.default_rng(seed)
    height, width = image_size
    corners = rng.uniform(0, (width - 2, height - 2), (count, 2))
    lengths = rng.uniform(1, longest, (count, 2))
    ends = np.minimum(corners + lengths, (width, height))
    return np.concatenate([corners, ends], axis=1)


@given(cases())
@example(((20, 20), (10, 10), (7, 3), [[4.5, 4.5, 5.5, 5.5]]))
def test_a_cell_is_uncovered_only_where_no_object_can_be_put(case):
    image_size, patch_size, grid_size, boxes = case
    sampler = YoloPatchSampler(patch_size, grid_size)
    covered = covered_cells(sampler, image_size, boxes)
    assert set(covered) == cells_by_brute_force(*case)


@given(cases(), st.integers(0, 5))
def test_each_grid_patch_puts_a_center_into_its_cell(case, seed):
    image_size, patch_size, grid_size, boxes = case
    sampler = YoloPatchSampler(patch_size, grid_size, seed)
    patches = of_stage(sampler.plan(image_size, boxes), "grid")
    covered = covered_cells(sampler, image_size, boxes)
    for patch, cell in zip(patches, covered, strict=True):
        assert patch.augmentation is None
        assert cell in [
            cell_of(box, patch.origin, patch_size, grid_size) for box in boxes
        ]


@given(cases(min_boxes=1), st.integers(0, 5))
def test_each_augmented_patch_contains_a_center(case, seed):
    image_size, patch_size, grid_size, boxes = case
    plan = YoloPatchSampler(patch_size, grid_size, seed).plan(image_size, boxes)
    for patch in of_stage(plan, "augmented"):
        assert any(
            cell_of(box, patch.origin, patch_size, grid_size) for box in boxes
        )


@given(cases(), st.integers(0, 3), st.integers(0, 3))
def test_origins_lie_in_the_padded_image_and_are_plain_integers(
    case, empty_patches, resample
):
    image_size, patch_size, grid_size, boxes = case
    sampler = YoloPatchSampler(
        patch_size, grid_size, empty_patches=empty_patches
    )
    inside = set(all_origins(image_size, patch_size))
    for patch in sampler.plan(image_size, boxes, resample=resample):
        assert patch.origin in inside
        assert [type(start) for start in patch.origin] == [int, int]


@given(cases(), st.integers(0, 3))
def test_each_stage_has_its_number_of_patches(case, empty_patches):
    image_size, patch_size, grid_size, boxes = case
    sampler = YoloPatchSampler(
        patch_size, grid_size, empty_patches=empty_patches
    )
    stages = [patch.stage for patch in sampler.plan(image_size, boxes)]
    covered = len(cells_by_brute_force(*case))
    cells = grid_size[0] * grid_size[1]
    expected = ["random"] * empty_patches
    if boxes:
        expected = ["grid"] * covered + ["augmented"] * cells
        expected += ["random"] * (covered + cells)
    assert stages == expected


def test_in_a_large_image_an_object_away_from_the_border_covers_every_cell():
    sampler = YoloPatchSampler(448, (7, 7))
    coverage = sampler.coverage((1500, 1500), [[700, 700, 760, 780]])
    np.testing.assert_array_equal(coverage, np.ones((7, 7)))


def test_an_object_in_the_corner_covers_the_corner_cell_only():
    sampler = YoloPatchSampler(448, (7, 7))
    coverage = sampler.coverage((1000, 1000), [[0, 0, 40, 40]])
    assert np.argwhere(coverage).tolist() == [[0, 0]]


def test_coverage_is_summed_over_images_and_saved_as_lists():
    sampler = YoloPatchSampler(20, (2, 2))
    images = {"a": [[0, 0, 4, 4]], "b": [[18, 18, 22, 22]], "c": []}
    coverage = sum(
        sampler.coverage((40, 40), boxes) for boxes in images.values()
    )
    assert json.loads(json.dumps(coverage.tolist())) == [[2, 1], [1, 1]]
    planned = sum(
        len(of_stage(sampler.plan((40, 40), boxes, name), "grid"))
        for name, boxes in images.items()
    )
    assert coverage.sum() == planned


def test_the_report_shows_every_count_and_names_the_cells_without_objects():
    report = describe_coverage([[12, 0], [3, 0]])
    assert "12  0\n" in report
    assert " 3  0\n" in report
    assert "2 of 4 cells (row, col) have none" in report
    assert report.endswith(": (0, 1), (1, 1)")
    assert "none" not in describe_coverage([[12, 1]])
    assert "none" in describe_coverage(np.zeros((30, 30), int))


def test_the_position_inside_a_cell_is_drawn_uniformly():
    sampler = YoloPatchSampler((12, 8), grid_size=(3, 2))
    box = [[20, 20, 21, 21]]
    counts = np.zeros((6, 4, 4), int)
    for name in range(800):
        plan = of_stage(sampler.plan((40, 40), box, str(name)), "grid")
        for cell, patch in enumerate(plan):
            y, x = (20 - start for start in patch.origin)
            assert cell == y // 4 * 2 + x // 4
            counts[cell, y % 4, x % 4] += 1
    # 50 expected each; 7 is the standard deviation.
    assert counts.min() > 20
    assert counts.max() < 85


def test_which_object_is_put_into_a_cell_is_drawn_among_the_feasible_ones():
    # The last has no room for itself in any cell but the first.
    boxes = np.array([[20, 20], [40, 20], [20, 40], [1, 1]])
    boxes = np.concatenate([boxes, boxes + 1], axis=1)
    sampler = YoloPatchSampler(8, grid_size=2)
    counts = np.zeros((4, 4), int)
    for name in range(400):
        plan = of_stage(sampler.plan((50, 50), boxes, str(name)), "grid")
        for cell, patch in enumerate(plan):
            indices, _ = boxes_in_patch(boxes, patch.origin, 8)
            counts[cell, indices] += 1
    assert counts[1:, 3].tolist() == [0, 0, 0]
    assert counts[0].min() > 60
    assert counts[1:, :3].min() > 90


def test_all_augmentations_are_drawn_and_can_be_saved_as_json():
    sampler = YoloPatchSampler(32, grid_size=8)
    plan = [
        patch
        for name in range(40)
        for patch in sampler.plan((99, 99), [[50, 50, 52, 52]], str(name))
    ]
    augmented = [patch.augmentation for patch in of_stage(plan, "augmented")]
    assert json.loads(json.dumps(augmented)) == augmented
    kinds = [next(iter(augmentation)) for augmentation in augmented]
    for kind in ("turns", "flip", "brightness"):
        assert kinds.count(kind) / len(kinds) == pytest.approx(1 / 3, abs=0.05)
    drawn = {entry for a in augmented for entry in a.items()}
    shares = {share for kind, share in drawn if kind == "brightness"}
    expected = {percent / 100 for percent in range(20, 41)}
    assert shares == expected | {-share for share in expected}
    assert {entry for entry in drawn if entry[0] != "brightness"} == {
        *(("turns", turns) for turns in (1, 2, 3)),
        *(("flip", side) for side in ("horizontal", "vertical")),
    }


def test_a_patch_that_is_not_square_is_turned_by_180_degrees_only():
    sampler = YoloPatchSampler((32, 40), grid_size=8)
    plan = sampler.plan((99, 99), [[50, 50, 52, 52]])
    turns = {
        patch.augmentation.get("turns") for patch in of_stage(plan, "augmented")
    }
    assert turns == {None, 2}


@given(cases(), cases(), st.integers(0, 3))
def test_plans_do_not_depend_on_other_images_or_their_order(one, other, seed):
    image_size, patch_size, grid_size, boxes = one
    first, second = (
        YoloPatchSampler(patch_size, grid_size, seed) for _ in range(2)
    )
    plan = first.plan(image_size, boxes, "one")
    second.plan(other[0], other[3], "other")
    second.coverage(other[0], other[3])
    assert second.plan(image_size, boxes, "one") == plan
    assert first.plan(image_size, boxes, "one") == plan


def test_plans_do_not_depend_on_which_process_or_thread_makes_them():
    image_size = (300, 400)
    names = [f"{index}.png" for index in range(8)]
    boxes = [random_boxes(20, image_size, seed) for seed in range(8)]
    plan = YoloPatchSampler(100, 5).plan
    alone = [plan(image_size, *case) for case in zip(boxes, names, strict=True)]
    # A spawned process has another hash seed, and nothing drawn before.
    spawn = multiprocessing.get_context("spawn")
    for pool in (
        concurrent.futures.ThreadPoolExecutor(4),
        concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn),
    ):
        with pool:
            together = list(pool.map(plan, [image_size] * 8, boxes, names))
        assert together == alone


@pytest.mark.parametrize("change", ["name", "seed"])
def test_another_name_or_seed_gives_another_plan(change):
    plans = [
        YoloPatchSampler(60, seed=number * (change == "seed")).plan(
            (300, 400),
            [[150, 150, 170, 170]],
            name=str(number) if change == "name" else "",
        )
        for number in range(2)
    ]
    for stage in ("grid", "augmented", "random"):
        one, other = (of_stage(plan, stage) for plan in plans)
        assert len(one) == len(other)
        assert one != other


def test_resampling_changes_all_but_the_grid_stage():
    sampler = YoloPatchSampler(60, empty_patches=5)
    boxes = random_boxes(10, (300, 400))
    plans = [
        sampler.plan((300, 400), boxes, "a", resample=resample)
        for resample in range(3)
    ]
    assert plans[0] == sampler.plan((300, 400), boxes, "a")
    for plan in plans[1:]:
        assert len(plan) == len(plans[0])
        assert of_stage(plan, "grid") == of_stage(plans[0], "grid")
    for stage in ("augmented", "random"):
        drawn = [{p.origin for p in of_stage(plan, stage)} for plan in plans]
        assert drawn[0] != drawn[1] != drawn[2] != drawn[0]
    empty = [sampler.plan((300, 400), [], resample=r) for r in range(2)]
    assert empty[0] != empty[1]


def test_stages_are_drawn_apart_from_each_other():
    plan = YoloPatchSampler(60, grid_size=1).plan(
        (9000, 9000), [[0, 0, 9000, 9000]]
    )
    assert len({patch.origin for patch in plan}) == len(plan) == 4


@pytest.mark.parametrize("boxes", [[], np.zeros((0, 4))])
def test_an_image_without_objects_gives_random_patches_only_when_asked(boxes):
    assert YoloPatchSampler(64).plan((100, 100), boxes) == []
    plan = YoloPatchSampler(64, empty_patches=3).plan((100, 100), boxes)
    assert [patch.stage for patch in plan] == ["random"] * 3
    assert not YoloPatchSampler(64).coverage((100, 100), boxes).any()


def test_a_box_larger_than_a_patch_is_planned_by_its_center():
    sampler = YoloPatchSampler(64, (4, 4))
    box = [[0, 0, 500, 400]]
    plan = sampler.plan((400, 500), box)
    assert len(plan) == 4 * 16
    for patch in of_stage(plan, "grid") + of_stage(plan, "augmented"):
        indices, clipped = boxes_in_patch(box, patch.origin, 64)
        assert indices.tolist() == [0]
        assert clipped.tolist() == [[0, 0, 64, 64]]


def test_boxes_of_one_pixel_are_planned():
    sampler = YoloPatchSampler(4, (4, 4))
    assert len(sampler.plan((9, 9), [[4, 4, 5, 5]])) == 4 * 16


def test_in_an_image_smaller_than_the_patch_all_patches_are_the_image():
    sampler = YoloPatchSampler(64, (8, 8))
    plan = sampler.plan((30, 40), [[0, 0, 8, 8], [20, 10, 40, 30]])
    assert {patch.origin for patch in plan} == {(0, 0)}
    assert len(of_stage(plan, "grid")) == 2


def test_thousands_of_boxes_are_planned():
    image_size = (600, 800)
    boxes = random_boxes(20_000, image_size)
    plan = YoloPatchSampler(100, (7, 7)).plan(image_size, boxes)
    assert len(plan) == 4 * 49


def test_decimal_coordinates_land_in_the_cells_of_an_encoder():
    image_size, patch_size, grid_size = (600, 800), (100, 130), (7, 6)
    boxes = random_boxes(30, image_size).round(3)
    sampler = YoloPatchSampler(patch_size, grid_size)
    plan = sampler.plan(image_size, boxes)
    centers = (boxes[:, [1, 0]] + boxes[:, [3, 2]]) / 2
    cells = np.argwhere(sampler.coverage(image_size, boxes))
    for patch, cell in zip(of_stage(plan, "grid"), cells, strict=True):
        encoded = (centers - patch.origin) * grid_size / patch_size
        assert (np.floor(encoded) == cell).all(axis=1).any()


@given(cases(min_boxes=1))
def test_a_box_belongs_to_a_patch_when_its_center_does(case):
    image_size, patch_size, grid_size, boxes = case
    for origin in all_origins(image_size, patch_size)[::5]:
        indices, _ = boxes_in_patch(boxes, origin, patch_size)
        assert indices.tolist() == [
            index
            for index, box in enumerate(boxes)
            if cell_of(box, origin, patch_size, grid_size)
        ]


@given(cases(min_boxes=1))
def test_a_box_in_a_patch_is_moved_and_clipped_and_keeps_an_area(case):
    image_size, patch_size, _, boxes = case
    height, width = patch_size
    for y, x in all_origins(image_size, patch_size)[::5]:
        indices, clipped = boxes_in_patch(boxes, (y, x), patch_size)
        assert clipped.shape == (len(indices), 4)
        for index, box in zip(indices, clipped, strict=True):
            x1, y1, x2, y2 = boxes[index]
            assert box.tolist() == [
                max(x1 - x, 0),
                max(y1 - y, 0),
                min(x2 - x, width),
                min(y2 - y, height),
            ]
            assert box[0] < box[2]
            assert box[1] < box[3]


def test_a_plan_leaves_its_boxes_alone():
    boxes = random_boxes(5, (100, 100))
    before = boxes.copy()
    YoloPatchSampler(20).plan((100, 100), boxes)
    boxes_in_patch(boxes, (10, 10), 20)
    np.testing.assert_array_equal(boxes, before)


def test_planned_patches_are_frozen():
    patch = PlannedPatch((0, 0), "grid")
    with pytest.raises(AttributeError):
        patch.origin = (1, 1)


@pytest.mark.parametrize(
    "arguments",
    [
        {"patch_size": 0},
        {"patch_size": 6.5},
        {"patch_size": (4, 4, 4)},
        {"grid_size": (0, 7)},
        {"grid_size": "7x7"},
        {"grid_size": (7, 65)},
        {"seed": None},
        {"seed": 0.5},
        {"empty_patches": -1},
        {"empty_patches": True},
    ],
)
def test_a_sampler_that_makes_no_sense_is_refused(arguments):
    name, value = next(iter(arguments.items()))
    with pytest.raises(ValueError, match=f"Received: {name}=") as error:
        YoloPatchSampler(**{"patch_size": 64, **arguments})
    assert str(value) in str(error.value)


@pytest.mark.parametrize(
    "box",
    [
        [30, 10, 20, 20],
        [10, 20, 20, 20],
        [90, 10, 110, 20],
        [10, 40, 20, 60],
        [-9, 10, 8, 20],
        [float("nan"), 10, 20, 20],
    ],
)
def test_a_box_that_no_patch_could_contain_is_refused_by_number(box):
    with pytest.raises(ValueError, match=r"Received: boxes\[1\]="):
        YoloPatchSampler(64).plan((50, 100), [[1, 1, 2, 2], box])


@pytest.mark.parametrize("boxes", [[1, 2, 3, 4], np.ones((2, 5))])
def test_boxes_of_another_shape_are_refused(boxes):
    with pytest.raises(ValueError, match=r"`boxes` .*Received: shape="):
        YoloPatchSampler(64).plan((50, 100), boxes)
    with pytest.raises(ValueError, match=r"`boxes` .*Received: shape="):
        boxes_in_patch(boxes, (0, 0), 64)


@pytest.mark.parametrize("image_size", [(0, 10), 0, (10, 10, 3)])
def test_an_image_without_pixels_is_refused(image_size):
    with pytest.raises(ValueError, match="Received: image_size="):
        YoloPatchSampler(64).plan(image_size, [])
