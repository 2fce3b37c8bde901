"""Boxes are read in one order, and every slip names its place in the file."""

import json
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.images.headers import ImageHeader
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.box_labels import check_boxes_inside
from keras_patching.data.labels.boxes import read_box_file

NAMES = ("a.png", "a.b.tif", "leaf 1.JPG", "blätter.png")


@pytest.fixture
def folder(tmp_path):
    """A folder of the images a.png and b.png, which nobody decodes."""
    return make_folder(tmp_path, ("a.png", "b.png"))


def make_folder(path, names):
    for name in names:
        (path / name).touch()
    return path


def box(x1, y1, x2, y2, **more):
    return {"all_points_x": [x1, x2], "all_points_y": [y1, y2], **more}


def read(folder, content, **kwargs):
    """Read the labels of a text, or of what becomes JSON, by image name."""
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / "labels.json").write_text(text, "utf-8")
    kwargs = {"class_names": ("plant",), **kwargs}
    found = read_box_file(folder / "labels.json", list_images(folder), **kwargs)
    return {image.name: labels for image, labels in found.labels.items()}


def read_a(folder, *objects, **kwargs):
    """Read the labels of a.png from its objects; b.png has none."""
    content = {"a": {"objects": list(objects)}, "b": {"objects": []}}
    return read(folder, content, **kwargs)["a.png"]


def faults_of(error):
    """The lines of an error between its summary and its remedy."""
    return [line.strip() for line in str(error.value).splitlines()[1:-1]]


def the_fault(folder, content, **kwargs):
    """The one fault of a content, without the file that it begins with."""
    with pytest.raises(
        ValueError, match=r"^Boxes that(.|\n)*\nExpected {"
    ) as error:
        read(folder, content, **kwargs)
    (fault,) = faults_of(error)
    start = f"{folder / 'labels.json'}"
    assert fault.startswith(start)
    return fault.removeprefix(start)


# Reading


# Few values, so that some boxes are equal, and any, so that all digits count.
coordinates = st.sampled_from([0.0, -0.0, 7.0, 7.5]) | st.floats(
    allow_nan=False, allow_infinity=False
)
sides = (
    st.tuples(coordinates, coordinates)
    .map(sorted)
    .filter(lambda side: side[0] < side[1])
)
objects = st.tuples(sides, sides, st.sampled_from(["leaf", "fruit"]))
object_lists = st.lists(objects, max_size=4)


@given(
    st.lists(object_lists, min_size=len(NAMES), max_size=len(NAMES)),
    st.randoms(use_true_random=False),
)
def test_boxes_come_back_sorted_whatever_their_order(
    tmp_path_factory, found, random
):
    folder = make_folder(tmp_path_factory.mktemp("boxes"), NAMES)
    images = list_images(folder)
    by_image = dict(zip(images.values(), found, strict=True))
    content = {
        (image.name if index % 2 else image.stem): {
            "objects": [
                box(x1, y1, x2, y2, label=label)
                for (x1, x2), (y1, y2), label in random.sample(
                    objects, len(objects)
                )
            ]
        }
        for index, (image, objects) in enumerate(by_image.items())
    }
    (folder / "labels.json").write_text(json.dumps(content))
    labels = read_box_file(
        folder / "labels.json", images, class_names=("fruit", "leaf")
    ).labels
    assert list(labels) == list(images.values())
    for image, objects in by_image.items():
        expected = sorted(
            (y1, x1, y2, x2, ("fruit", "leaf").index(label))
            for (x1, x2), (y1, y2), label in objects
        )
        expected = np.array(expected, "float64").reshape(-1, 5) + 0.0
        boxes = np.ascontiguousarray(expected[:, [1, 0, 3, 2]])
        assert labels[image].boxes.dtype == "float64"
        assert labels[image].boxes.tobytes() == boxes.tobytes()
        assert labels[image].labels.dtype == "int64"
        assert labels[image].labels.tolist() == expected[:, 4].tolist()
        assert_places_hold(labels[image], content)


def assert_places_hold(labels, content):
    """Each place leads to its own box in the content of the file."""
    for place, (x1, y1, x2, y2) in zip(
        labels.places, labels.boxes.tolist(), strict=True
    ):
        found = content
        for step in re.findall(r'\[("(?:[^"\\]|\\.)*"|\d+)\]', place):
            found = found[json.loads(step)]
        assert place.startswith(labels.entry)
        assert found["all_points_x"] == [x1, x2]
        assert found["all_points_y"] == [y1, y2]


def test_boxes_are_xyxy_with_place_file_and_size(folder):
    content = {
        "img_1": {
            "file_name": "a.png",
            "width": 30,
            "height": 20.0,
            "objects": [box(5, 6, 7, 8), box(3, 1, 4, 2.5)],
        },
        "b.png": {"objects": []},
    }
    labels = read(folder, content)
    assert labels["a.png"].label_file == folder / "labels.json"
    assert labels["a.png"].boxes.tolist() == [[3, 1, 4, 2.5], [5, 6, 7, 8]]
    assert labels["a.png"].labels.tolist() == [0, 0]
    assert labels["a.png"].entry == '["img_1"]'
    assert labels["a.png"].places == (
        '["img_1"]["objects"][1]',
        '["img_1"]["objects"][0]',
    )
    assert labels["a.png"].declared_size == (20, 30)
    assert labels["b.png"].boxes.shape == (0, 4)
    assert labels["b.png"].labels.shape == (0,)
    assert labels["b.png"].places == ()
    assert labels["b.png"].declared_size is None


def test_the_box_of_a_polygon_is_its_extent(folder):
    polygon = {"all_points_x": [5, 9, 1, 4], "all_points_y": [7, 3, 2, 8]}
    assert read_a(folder, polygon).boxes.tolist() == [[1, 2, 9, 8]]


def test_exact_duplicates_are_two_objects(folder):
    labels = read_a(folder, *[box(1, 2, 3, 4)] * 12)
    assert labels.boxes.tolist() == [[1, 2, 3, 4]] * 12
    assert labels.places == tuple(f'["a"]["objects"][{i}]' for i in range(12))


def test_labels_are_indices_into_the_names_of_classes(folder):
    labels = read_a(
        folder,
        box(0, 0, 1, 1, label="fruit"),
        box(0, 1, 1, 2, label="leaf"),
        class_names=["leaf", "fruit"],
    )
    assert labels.labels.tolist() == [1, 0]


@pytest.mark.parametrize("more", [{}, {"label": None}, {"label": "plant"}])
def test_the_only_label_may_be_left_out(folder, more):
    assert read_a(folder, box(0, 0, 1, 1, **more)).labels.tolist() == [0]


def test_the_list_of_objects_has_another_name_by_argument(folder):
    content = {"a": {"cells": [box(0, 0, 1, 1)]}, "b": {"cells": []}}
    labels = read(folder, content, objects_key="cells")
    assert labels["a.png"].places == ('["a"]["cells"][0]',)


def test_plants_are_objects_unless_the_key_is_given(folder):
    content = {
        "a": {"plants": [box(0, 0, 1, 1)]},
        "b": {"objects": [box(0, 0, 2, 2)]},
    }
    labels = read(folder, content)
    assert labels["a.png"].places == ('["a"]["plants"][0]',)
    assert labels["b.png"].places == ('["b"]["objects"][0]',)
    with pytest.raises(ValueError, match=r"b.*has no key 'plants', found 'obj"):
        read(folder, content, objects_key="plants")


def test_objects_and_plants_of_one_image_are_an_error(folder):
    content = {"a": {"plants": [], "objects": []}, "b": {"plants": []}}
    with pytest.raises(ValueError, match="has both 'objects' and 'plants'"):
        read(folder, content)
    assert len(read(folder, content, objects_key="plants")) == 2


def test_the_file_name_goes_before_the_key(folder):
    content = {
        "a.png": {"file_name": "b", "objects": [box(0, 0, 1, 1)]},
        "../b.png": {"file_name": "a.png", "objects": []},
    }
    labels = read(folder, content)
    assert [len(label.boxes) for label in labels.values()] == [0, 1]


def test_json_of_a_text_editor_is_accepted(folder):
    text = (
        '\ufeff{"b": {"objects": []},\r\n "by": {"file_name": "a", "me": [1],'
        '"objects": [{"all_points_y": [0, 2e0], "id": "", '
        '"all_points_x": [0.0, 1]}]}}'
    )
    assert read(folder, text)["a.png"].boxes.tolist() == [[0, 0, 1, 2]]


# Boxes without area


def test_boxes_without_area_are_left_out_with_one_warning(folder):
    content = {
        name: {"objects": [box(1, 1, 1, 5), box(0, 0, 9, 9), box(2, 3, 5, 3)]}
        for name in "ab"
    }
    with pytest.warns(UserWarning, match="without area") as caught:
        labels = read(folder, content)
    assert len(caught) == 1
    assert str(caught[0].message) == (
        f"{folder / 'labels.json'}: left out 4 boxes without area (x1 == x2 "
        'or y1 == y2): ["a"]["objects"][0], ["a"]["objects"][2], '
        '["b"]["objects"][0] and 1 more. Correct or remove them.'
    )
    for label in labels.values():
        assert label.boxes.tolist() == [[0, 0, 9, 9]]
        assert label.places == (f'{label.entry}["objects"][1]',)


def test_a_polygon_in_a_line_has_no_area(folder):
    line = {"all_points_x": [1, 2, 3], "all_points_y": [4, 4, 4]}
    with pytest.warns(UserWarning, match=r"left out 1 boxes .*\[0\]\. Correct"):
        assert read_a(folder, line).boxes.shape == (0, 4)


# Slips in the file


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": {},\n "b": }', r": is not JSON .*: line 2 column 7 "),
        ("", ": is not JSON .*: line 1 column 1 "),
        ("[" * 100_000, ": is not JSON"),
    ],
)
def test_what_is_not_json_names_line_and_column(folder, text, words):
    with pytest.raises(ValueError, match=words) as error:
        read(folder, text)
    assert str(error.value).startswith(f"{folder / 'labels.json'}: ")


def test_json_that_is_not_utf_8_names_its_line(folder):
    (folder / "labels.json").write_bytes(b'{"a": {},\n"\xe4": {}}')
    with pytest.raises(ValueError, match=r"labels\.json, line 2: .*not UTF-8"):
        read_box_file(folder / "labels.json", list_images(folder))


def test_a_missing_file_is_an_error_that_says_what_to_write(folder):
    with pytest.raises(
        FileNotFoundError, match=r'none\.json: no such file\. .*"cells": \['
    ):
        read_box_file(
            folder / "none.json", list_images(folder), objects_key="cells"
        )


def test_what_is_not_an_object_is_named(folder):
    fault = the_fault(folder, "[1]")
    assert fault == ": found [1.0], expected a JSON object."


def test_keys_that_occur_twice_are_named(folder):
    text = '{"a": {"objects": []}, "b": {"objects": []}, "a": {"objects": []}}'
    assert "found the keys 'a' more than once" in the_fault(folder, text)
    text = '{"a": {"objects": []}, "b": {"objects": [], "objects": []}}'
    fault = the_fault(folder, text)
    assert fault.startswith(", [\"b\"]: found the keys 'objects' more than")
    slip = '{"all_points_x": [0, 1], "all_points_x": [2, 3]}'
    text = f'{{"a": {{"objects": []}}, "b": {{"objects": [{slip}]}}}}'
    with pytest.raises(ValueError, match=r'\["b"\]\["objects"\]\[0\]: .* more'):
        read(folder, text)


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        ({"b": 5}, r'\["b"\]: found 5.0, expected a JSON object'),
        (
            {"b": {}},
            r'\["b"\]: has no key \'objects\' or .*, found none.*objects_key=',
        ),
        (
            {"b": {"cells": [], "width": 1, "height": 1}},
            r"or 'plants', found 'cells', 'width', 'height'\. Name",
        ),
        (
            {"b": {"objects": {"0": 1}}},
            r'\["b"\]\["objects"\]: found {\'0\': 1.0}, expected a list',
        ),
        ({"c": {"objects": []}}, r'\["c"\]: found the name \'c\''),
        ({"": {"objects": []}}, r'\[""\]: found the name \'\''),
        ({"b.jpg": {"objects": []}}, r"There is b\.png: correct the suffix"),
        (
            {"i": {"file_name": "c.png", "objects": []}},
            r'\["i"\]: found the name \'c.png\', expected .*remove the entry',
        ),
        (
            {"i": {"file_name": 5, "objects": []}},
            r'\["i"\]\["file_name"\]: found 5.0, expected the name',
        ),
        (
            {"i": {"file_name": None, "objects": []}},
            r'\["i"\]\["file_name"\]: found None, expected the name',
        ),
        ({"../b.png": {"objects": []}}, r"'\.\./b\.png'.* Leave out the fold"),
        ({"/tmp/b.png": {"objects": []}}, "Leave out the folder"),
        ({"..\\b.png": {"objects": []}}, "Leave out the folder"),
        (
            {"i": {"file_name": "../b.png", "objects": []}},
            r'\["i"\]: found the name \'\.\./b\.png\'.* Leave out the folder',
        ),
        (
            {"b.png": {"objects": []}},
            r'\["b\.png"\]: found b\.png again, after \["b"\], expected one',
        ),
        (
            {"i": {"file_name": "b", "objects": []}},
            r'\["i"\]: found b\.png again, after \["b"\]',
        ),
        *(
            ({"b": {"objects": [], "height": height, "width": width}}, words)
            for height, width, words in (
                (0, 5, "found the height 0.0 and width 5.0, expected pixels"),
                (5, -5, "height 5.0 and width -5.0"),
                (5.5, 5, "height 5.5 and"),
                ("5", 5, "height '5' and"),
                (True, 5, "height True and"),
                (None, 5, "height None and"),
                (5, float("nan"), "width nan"),
                (5, float("inf"), "width inf"),
            )
        ),
        ({"b": {"objects": [], "width": 5}}, "height None and width 5.0"),
    ],
)
def test_a_slip_in_an_entry_names_file_and_key(folder, slip, words):
    content = {"a": {"objects": []}, "b": {"objects": []}} | slip
    assert re.match(f", .*{words}", the_fault(folder, content))


@pytest.mark.parametrize(
    ("slip", "words"),
    [
        ([1, 2], r": found \[1.0, 2.0\], expected a JSON object"),
        (
            {"all_points_y": [1, 2], "x": [1, 2]},
            ": has no key 'all_points_x', found 'all_points_y', 'x'",
        ),
        ({"all_points_x": [1, 2]}, ": has no key 'all_points_y', found 'all"),
        (
            {"all_points_x": 5, "all_points_y": [1, 2]},
            r'\["all_points_x"\]: found 5.0, expected a list of numbers',
        ),
        (
            {"all_points_x": [1, 2], "all_points_y": [1, 2, 3]},
            ": found 2 numbers in all_points_x and 3 in all_points_y",
        ),
        ({"all_points_x": [], "all_points_y": []}, ": found 0 points, expe"),
        ({"all_points_x": [1], "all_points_y": [1]}, ": found 1 points, expe"),
        (box("1", 0, 2, 2), r'\["all_points_x"\]\[0\]: found \'1\', expected'),
        (box(1, 0, 2, None), r'\["all_points_y"\]\[1\]: found None'),
        (box(0, 0, True, 2), r'\["all_points_x"\]\[1\]: found True'),
        (box(0, [], 1, 2), r'\["all_points_y"\]\[0\]: found \[\]'),
        (box(0, 0, float("nan"), 2), r'\["all_points_x"\]\[1\]: found nan'),
        (box(0, float("-inf"), 1, 2), r'\["all_points_y"\]\[0\]: found -inf'),
        (box(0, 0, 10**400, 2), r'\["all_points_x"\]\[1\]: found inf'),
        (box("a", 0, "b", 2), r'\["all_points_x"\]\[0\]: .* it, and 1 more\.'),
        (box(5, 0, 2.5, 2), ": found x=5 to 2.5, y=0 to 2, expected the sma"),
        (box(0, 3, 1, 2), ": found x=0 to 1, y=3 to 2, expected the smaller"),
        (box(0, 0, 1, 1, label=5), r'\["label"\]: found 5.0, expected a name'),
        (box(0, 0, 1, 1, label=[]), r'\["label"\]: found \[\], expected a na'),
    ],
)
def test_a_slip_in_an_object_names_file_and_key(folder, slip, words):
    content = {
        "a": {"objects": []},
        "b": {"objects": [box(0, 0, 1, 1), slip]},
    }
    place = re.escape(', ["b"]["objects"][1]')
    assert re.match(place + words, the_fault(folder, content))


def test_an_unknown_label_is_told_once_with_all_that_there_are(folder):
    content = {
        "a": {"objects": [box(0, 0, 1, 1, label="fruit")]},
        "b": {"objects": [box(0, 0, 1, 1, label="leef")] * 3},
    }
    fault = the_fault(folder, content, class_names=("leaf", "fruit"))
    assert fault == (
        ', ["b"]["objects"][0]: found the label \'leef\', as in 2 more '
        "objects, expected one of 'leaf', 'fruit'. Correct it, or name all "
        "classes of the labels, here or of the model: "
        "class_names=['fruit', 'leef']."
    )


def test_a_name_is_checked_where_there_is_one_label_too(folder):
    with pytest.raises(ValueError, match="label 'leaf', expected one of 'pla"):
        read_a(folder, box(0, 0, 1, 1, label="leaf"))
    with pytest.raises(ValueError, match="found the label '', expected"):
        read_a(folder, box(0, 0, 1, 1, label=""))


def test_a_label_is_needed_where_there_are_several(folder):
    content = {"a": {"objects": []}, "b": {"objects": [box(0, 0, 1, 1)] * 2}}
    fault = the_fault(folder, content, class_names=("leaf", "fruit"))
    assert fault.startswith(
        ', ["b"]["objects"][0]: found no label, as in 1 more objects, expected '
        "one of 'leaf', 'fruit'. No object has a label"
    )


def test_images_without_an_entry_are_counted_with_all_ways_out(folder):
    one = {"a": {"cells": [box(0, 0, 1, 1)]}}
    fault = the_fault(folder, one, objects_key="cells")
    assert fault == (
        ": has no entry for 1 of 2 images: 'b.png'. If they are not labelled, "
        'pass unlabelled="skip", which leaves them out. If they hold no '
        'objects, add an entry with "cells": [] for each, or pass '
        'unlabelled="empty".'
    )
    skipped = read(folder, one, objects_key="cells", unlabelled="skip")
    assert list(skipped) == ["a.png"]
    for found in (
        read(folder, one, objects_key="cells", unlabelled="empty"),
        read(folder, one | {"b": {"cells": []}}, objects_key="cells"),
    ):
        assert [len(each.boxes) for each in found.values()] == [1, 0]


@pytest.mark.parametrize("unlabelled", ["skip", "empty"])
def test_a_file_without_entries_is_an_error(folder, unlabelled):
    with pytest.raises(ValueError, match=r"labels\.json: has no entries"):
        read(folder, {}, unlabelled=unlabelled)


def test_one_error_lists_all_slips_of_the_file(folder):
    content = {
        "a": {
            "width": 0,
            "objects": [box("", 0, 1, ""), box(2, 0, 1, 1), box(1, 1, 1, 1)],
        },
        "c": {"objects": [box(0, 0, 1, 1, label="leaf")]},
    }
    with (
        warnings.catch_warnings(action="error"),
        pytest.raises(ValueError, match="Boxes") as error,
    ):
        read(folder, content)
    path = str(folder / "labels.json")
    assert [fault.split(": ")[0] for fault in faults_of(error)] == [
        f'{path}, ["a"]["objects"][0]["all_points_x"][0]',
        f'{path}, ["a"]["objects"][0]["all_points_y"][1]',
        f'{path}, ["a"]["objects"][1]',
        f'{path}, ["a"]',
        f'{path}, ["c"]',
        f'{path}, ["c"]["objects"][0]',
        path,
    ]


@pytest.mark.parametrize("names", ["plant", (), ("a", "a"), (0, 1)])
def test_class_names_that_are_not_distinct_are_refused(folder, names):
    with pytest.raises(
        ValueError, match=r"`class_names` must be .* class_names="
    ):
        read_a(folder, class_names=names)


# Boxes outside


CLIP = "Correct it, or cut all such boxes off at the edge by clip=True."


def check(folder, content, height, width):
    read(folder, content)
    images = list_images(folder)
    labels = read_box_file(folder / "labels.json", images).labels
    assert check_boxes_inside(labels, {}) == []
    header = ImageHeader((height, width), 3, np.dtype("uint8"))
    headers = dict.fromkeys(images.values(), header)
    return [
        fault.removeprefix(f"{folder / 'labels.json'}, ")
        for fault in check_boxes_inside(labels, headers)
    ]


def test_boxes_outside_name_their_place_and_the_size_of_the_image(folder):
    content = {
        "b": {"objects": [box(0, 0, 14, 10), box(0, 0, 14.25, 10)]},
        "a": {
            "objects": [
                box(0, 5, 1, 10.5),
                box(-1, 2, 5, 6),
                box(0, -0.5, 1, 1),
                box(20, 20, 30, 30),
            ]
        },
    }
    assert check(folder, content, 10, 14) == [
        f'["{image}"]["objects"][{index}]: the box {found} does not lie inside '
        f"{folder / image}.png, whose size (height, width) is (10, 14). " + mend
        for image, index, found, mend in (
            ("a", 2, "x=0 to 1, y=-0.5 to 1", CLIP),
            ("a", 1, "x=-1 to 5, y=2 to 6", CLIP),
            ("a", 0, "x=0 to 1, y=5 to 10.5", CLIP),
            ("a", 3, "x=20 to 30, y=20 to 30", "Correct or remove it."),
            ("b", 1, "x=0 to 14.25, y=0 to 10", CLIP),
        )
    ]


def test_a_declared_size_must_be_that_of_the_image(folder):
    content = {
        "a": {"objects": [box(0, 0, 20, 20)], "width": 28, "height": 20},
        "b": {"objects": [], "width": 14, "height": 10},
    }
    size, outside = check(folder, content, 10, 14)
    assert size == (
        '["a"]: declares the size (height, width) (20, 28), and '
        f"{folder / 'a.png'} has (10, 14). If the image was resized, scale "
        "its boxes; if only the size is wrong, correct or remove it."
    )
    assert outside.startswith('["a"]["objects"][0]: the box')


def test_a_swapped_size_hints_at_what_may_have_swapped_it(folder):
    content = {
        "a": {"objects": [], "width": 10, "height": 14},
        "b": {"objects": [], "width": 14, "height": 10},
    }
    (fault,) = check(folder, content, 10, 14)
    assert fault.startswith('["a"]: declares the size (height, width) (14, 10)')
    assert re.search("swapped: .* width and height .* EXIF orientation", fault)


def test_corners_in_the_place_of_sizes_of_coco_are_told(folder):
    content = {
        "images": [
            {"id": i, "file_name": f"{n}.png"} for i, n in enumerate("ab")
        ],
        "categories": [{"id": 1, "name": "plant"}],
        "annotations": [
            {"image_id": 0, "category_id": 1, "bbox": [3, 2, 13, 9]},
            {"image_id": 0, "category_id": 1, "bbox": [3, 2, 9, 8]},
        ],
    }
    (fault,) = check(folder, content, 10, 14)
    assert fault.startswith('["annotations"][0]: the box x=3 to 16, y=2 to 11 ')
    assert "x, y, width and height: these may be two corners" in fault
