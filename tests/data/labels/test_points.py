"""Points are read alike from all formats, and every slip names its place."""

import csv
import json
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_patching.data.images.headers import ImageHeader
from keras_patching.data.images.listing import list_images
from keras_patching.data.labels.point_labels import check_points_inside
from keras_patching.data.labels.points_csv import read_points_csv
from keras_patching.data.labels.points_files import read_points_files

NAMES = ("a.png", "a.b.tif", "leaf 1.JPG", "blätter.png")


@pytest.fixture
def folder(tmp_path):
    """A folder of the images a.png and b.png, which nobody decodes."""
    return make_folder(tmp_path, ("a.png", "b.png"))


def make_folder(path, names):
    for name in names:
        (path / name).touch()
    return path


def read_csv(folder, text, **kwargs):
    """Read the points of `text`, as lists by image name."""
    data = text if isinstance(text, bytes) else text.encode()
    path = folder / "points.csv"
    path.write_bytes(data)
    return as_lists(read_points_csv(path, list_images(folder), **kwargs))


def read_json(folder, **texts):
    """Read the points of the JSON texts by stem; b has none unless given."""
    for stem, text in ({"b": '{"x": {}, "y": {}}'} | texts).items():
        (folder / f"{stem}.json").write_text(text, "utf-8")
    return as_lists(read_beside(folder))


def read_beside(folder, *args):
    labels, _ = read_points_files(list_images(folder), *args)
    return labels


def as_lists(labels):
    return {
        image.name: label.points.tolist() for image, label in labels.items()
    }


def faults_of(error):
    """The lines of an error between its summary and its remedy."""
    return [line.strip() for line in str(error.value).splitlines()[1:-1]]


# Reading


# Few values, so that some points are equal, and any, so that all digits count.
coordinates = st.sampled_from([0.0, -0.0, 7.0, 7.5]) | st.floats(
    allow_nan=False, allow_infinity=False
)
point_lists = st.lists(st.tuples(coordinates, coordinates), max_size=6)


@given(
    st.lists(point_lists, min_size=len(NAMES), max_size=len(NAMES)),
    st.randoms(use_true_random=False),
)
def test_the_same_points_are_equal_in_all_formats(
    tmp_path_factory, points, random
):
    folder = make_folder(tmp_path_factory.mktemp("points"), NAMES)
    images = list_images(folder)
    by_stem = dict(zip(images, points, strict=True))
    rows = [
        [stem, *(value for point in found for value in point)]
        for stem, found in by_stem.items()
    ]
    long_rows = [
        [images[stem].name, x, y]
        for stem, found in by_stem.items()
        for x, y in found or [("", "")]
    ]
    random.shuffle(rows)
    random.shuffle(long_rows)
    write_csv(folder / "rows.csv", rows)
    write_csv(folder / "long.csv", [["image", "x", "y"], *long_rows])
    for stem, found in by_stem.items():
        axes = {
            axis: {f"p{key}": point[index] for key, point in enumerate(found)}
            for index, axis in enumerate("xy")
        }
        (folder / f"{stem}.json").write_text(json.dumps(axes))
    read = [
        read_points_csv(folder / "rows.csv", images),
        read_points_csv(folder / "long.csv", images),
        read_beside(folder),
    ]
    for labels in read:
        assert list(labels) == list(images.values())
        for stem, image in images.items():
            expected = np.array(
                sorted((y, x) for x, y in by_stem[stem]), "float64"
            ).reshape(-1, 2)
            assert labels[image].points.dtype == "float64"
            assert np.array_equal(labels[image].points, expected)
            assert (
                labels[image].points.tobytes()
                == read[0][image].points.tobytes()
            )


def write_csv(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows(rows)


def test_points_are_y_and_x_in_their_order(folder):
    points = read_csv(folder, "a,5,2,9,1,4,2\nb\n")
    assert points == {"a.png": [[1, 9], [2, 4], [2, 5]], "b.png": []}


def test_exact_duplicates_are_two_objects(folder):
    assert read_csv(folder, "a,3,4,3,4\nb\n")["a.png"] == [[4, 3], [4, 3]]


def test_places_follow_their_points(folder):
    label_file = folder / "points.csv"
    label_file.write_text("image,x,y\na,5,2\n\na,1,1\na,4,2\nb\n")
    (labels, _) = read_points_csv(label_file, list_images(folder)).values()
    assert labels.label_file == label_file
    assert labels.places == ("line 4", "line 5", "line 2")
    read_json(
        folder,
        a='{"x": {"p": 5, "q": 1}, "y": {"q": 1, "p": 2}}',
        b='{"x":{},"y":{}}',
    )
    (labels, _) = read_beside(folder).values()
    assert labels.label_file == folder / "a.json"
    assert labels.places == ("key 'q'", "key 'p'")


@pytest.mark.parametrize(
    "text",
    [
        "a.png,1,2\r\nb.png\r\n",
        "b\na,1,2",
        "\ufeffa,1,2\nb\n",
        '\ufeff"a","1","2"\n"b"\n',
        "\n\na,1,2\n\n , ,\nb\n\n",
        "  a , 1 ,\t2  \n b\n",
        ' "a" , "1" , "2"\nb\n',
        "a,1,2,,,,\nb,,,,,,\n",
        "a,1.0,2e0\nb\n",
        "a,1,2\rb\r",
        "image,x,y\na,1,2\nb\n",
        "image,x,y\na.png,1,2\nb.png,,\n",
        "IMAGE, X ,y,Label\na,1,2,cell\nb,,,none\n",
        "id;,Y,score,x,image\n9,2,0.5,1,a\n8,,,,b\n",
        "\ufeff\nimage,x,y\n\n,,\na,1,2\nb",
    ],
)
def test_what_spreadsheets_write_is_accepted(folder, text):
    assert read_csv(folder, text) == {"a.png": [[2, 1]], "b.png": []}


def test_an_exact_file_name_goes_before_a_stem(tmp_path):
    folder = make_folder(tmp_path, ("a.png", "a.png.tif"))
    points = read_csv(folder, "a.png,1,2\na.png.tif,3,4\n")
    assert points == {"a.png": [[2, 1]], "a.png.tif": [[4, 3]]}


def test_json_of_a_text_editor_is_accepted(folder):
    text = '\ufeff{"y": {"1": 2},\r\n "x": {"1": 1.0}, "by": {"me": [1]}}'
    assert read_json(folder, a=text)["a.png"] == [[2, 1]]


def test_hidden_files_and_folders_are_no_labels(folder):
    (folder / "._a.json").touch()
    (folder / "old.json").mkdir()
    assert read_json(folder, a='{"x": {}, "y": {}}')["a.png"] == []


# Slips in a CSV file


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("a,1,2,3\nb\n", 1, "found 3 coordinates, expected pairs"),
        ("b\n\na,1,two\n", 3, "found 'two' as coordinates"),
        ("b\na,1,,3,4\n", 2, "found '' as coordinates"),
        ("a,1,nan\nb\n", 1, "found 'nan' as coordinates, expected finite"),
        ("a,-inf,1e999\nb\n", 1, "found '-inf', '1e999' as coordinates"),
        ("a,1_2,3\nb\n", 1, "found '1_2' as coordinates"),
        ('a,"1,5",3\nb\n', 1, "found '1,5' as coordinates"),
        ("a\nb\nc,1,2\n", 3, "found the name 'c'"),
        ("a\nb\n,1,2\n", 3, "found the name ''"),
        ("a\nb\na.jpg,1,2\n", 3, "There is a.png: correct the suffix."),
        ("a\nb\n../a.png,1,2\n", 3, "'../a.png'.* Leave out the folder."),
        ("a\nb\n/tmp/a.png,1,2\n", 3, "Leave out the folder."),
        ("a\nb\n..\\a.png,1,2\n", 3, "Leave out the folder."),
        ("a,1,2\nb\nc;1;2\n", 3, "found the name 'c;1;2'.* Separate the val"),
        ("a,1,2\nb\na.png,3,4\n", 3, "found a.png again, after line 1"),
        ("image,x,y\na,1,\nb\n", 2, "found 1 coordinates"),
        ("image,x,y\na,,1\nb\n", 2, "found '' as coordinates"),
        ("image,x,y\na,1,nan\nb\n", 2, "found 'nan' as coordinates"),
        ("image,x,y\nc,1,2\na\nb\n", 2, "found the name 'c'"),
        ("image,x,y\n,1,2\na\nb\n", 2, "found the name ''"),
        ("image,x,y\n../a.png,1,2\na\nb\n", 2, "Leave out the folder."),
        ("image,x,y\na,1,2\nb,1,2\na,,\n", 4, "a.png again, after line 2"),
        ("image,x,y\na,,\na,1,2\nb\n", 3, "a.png again, after line 2"),
    ],
)
def test_a_slip_in_a_row_names_file_and_line(folder, text, line, words):
    with pytest.raises(
        ValueError, match=r"Points(.|\n)*\nExpected a row"
    ) as error:
        read_csv(folder, text)
    (fault,) = faults_of(error)
    assert fault.startswith(f"{folder / 'points.csv'}, line {line}: ")
    assert re.search(words, fault)


@pytest.mark.parametrize(
    ("text", "row"),
    [("a,1,2\n", "b.png"), ("image,x,y\na,1,2\n", "b.png,,")],
)
def test_images_without_a_row_are_counted_with_all_ways_out(folder, text, row):
    with pytest.raises(ValueError, match=r"Points(.|\n)*Expected") as error:
        read_csv(folder, text)
    (fault,) = faults_of(error)
    assert fault.startswith(
        f"{folder / 'points.csv'}: has no row for 1 of 2 images: 'b.png'. If"
    )
    assert re.search('not labelled, pass unlabelled="skip"', fault)
    assert re.search('no objects, add a row .* unlabelled="empty"', fault)
    skipped = read_csv(folder, text, unlabelled="skip")
    assert skipped == {"a.png": [[2, 1]]}
    empty = {"a.png": [[2, 1]], "b.png": []}
    assert read_csv(folder, text, unlabelled="empty") == empty
    assert read_csv(folder, f"{text}{row}\n") == empty


def test_what_is_unlabelled_must_be_said_in_a_known_word(folder):
    with pytest.raises(ValueError, match="Received: unlabelled='drop'"):
        read_csv(folder, "a,1,2\n", unlabelled="drop")


def test_one_error_lists_all_slips_of_a_csv_file(folder):
    with pytest.raises(ValueError, match="Points") as error:
        read_csv(folder, "a,x,2,3\nc,1\n")
    places = [fault.split(": ")[0] for fault in faults_of(error)]
    path = str(folder / "points.csv")
    assert places == [f"{path}, line 1"] * 2 + [f"{path}, line 2"] * 2 + [path]


def test_many_wrong_values_of_a_row_are_one_short_line(folder):
    with pytest.raises(ValueError, match="'v4' and 95 more as coord"):
        read_csv(folder, ",".join(["a", *(f"v{i}" for i in range(100))]))


@pytest.mark.parametrize("text", ["", "\ufeff", "\n ,,\n", "image,x,y\n"])
def test_a_csv_file_without_rows_is_an_error(folder, text):
    with pytest.raises(ValueError, match=r"points\.csv: has no rows\. Expec"):
        read_csv(folder, text)


@pytest.mark.parametrize("row", ["a,12,5,13,5", "a,1,2,", "a,1,2,,,,x"])
def test_what_a_row_holds_more_than_its_header_is_an_error(folder, row):
    text = f"image,x,y\nb\n{row}\n"
    if row == "a,1,2,":
        assert read_csv(folder, text)["a.png"] == [[2, 1]]
        return
    with pytest.raises(ValueError, match=r"line 3: found \d values below a h"):
        read_csv(folder, text)


@pytest.mark.parametrize("header", ["name,x1,y1", "image,col,row", "name,n"])
def test_a_header_of_other_columns_is_told_as_one(folder, header):
    with pytest.raises(ValueError, match=rf"line 1: found the header {header}"):
        read_csv(folder, f"{header}\na,1,2\nb,3,4\n")


def test_a_header_that_names_a_column_twice_is_an_error(folder):
    with pytest.raises(ValueError, match=r"points\.csv, line 1: .*once each"):
        read_csv(folder, "image,x,y,x,y\na,1,2,3,4\n")


def test_a_quotation_mark_that_is_not_closed_names_its_line(folder):
    with pytest.raises(ValueError, match=r"points\.csv, line 2: .*quot"):
        read_csv(folder, 'b\n"a,1,2\n\nc,1,2\n')


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ("a,1,2\nblätter".encode("latin-1"), 2),
        ("\ufeffa\r\n".encode() + b"b\r\n\xff", 3),
        ("a,1,2\n".encode("utf-16-le"), 1),
    ],
)
def test_bytes_that_are_not_utf_8_name_their_line(folder, data, line):
    with pytest.raises(ValueError, match=rf"csv, line {line}: .*not UTF-8"):
        read_csv(folder, data)


def test_a_missing_csv_file_is_an_error(folder):
    with pytest.raises(FileNotFoundError, match=r"none\.csv: no such file"):
        read_points_csv(folder / "none.csv", list_images(folder))


# Slips in JSON files


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"x": {},\n "y": }', "is not JSON .*line 2 column 7"),
        ("", "is not JSON .*line 1 column 1"),
        ("[" * 100_000, "is not JSON"),
        ("[]", r"found \[\], expected a JSON object"),
        ('{"x": {}}', "has no key 'y', found 'x'"),
        ('{"y": {}, "X": {}}', "has no key 'x', found 'y', 'X'"),
        ('{"x": [1, 2], "y": {}}', r"key 'x': found \[1.0, 2.0\]"),
        ('{"x": {"p": 1}, "y": {}}', r"found the keys 'p' in x alone"),
        ('{"x": {}, "y": {"p": 1}}', r"found the keys 'p' in y alone"),
        ('{"x": {"p": "1"}, "y": {"p": 1}}', r"key x\['p'\]: found '1'"),
        ('{"x": {"p": 1}, "y": {"p": true}}', r"key y\['p'\]: found True"),
        ('{"x": {"p": null}, "y": {"p": 1}}', r"key x\['p'\]: found None"),
        ('{"x": {"p": {}}, "y": {"p": 1}}', r"key x\['p'\]: found \(\)"),
        ('{"x": {"p": NaN}, "y": {"p": 1}}', r"key x\['p'\]: found nan"),
        ('{"x": {"p": 1}, "y": {"p": -1e999}}', r"key y\['p'\]: found -inf"),
        (f'{{"x": {{"p": {"9" * 5000}}}, "y": {{"p": 1}}}}', "found inf"),
        ('{"x": {"p": 1, "p": 2}, "y": {"p": 1}}', "key 'x': .* 'p' more"),
        ('{"x": {}, "y": {}, "x": {}}', "found the keys 'x' more than once"),
    ],
)
def test_a_slip_in_json_names_file_and_key(folder, text, words):
    with pytest.raises(ValueError, match=r"Points(.|\n)*\nExpected {") as error:
        read_json(folder, a=text)
    (fault,) = faults_of(error)
    assert fault.startswith(f"{folder / 'a.json'}")
    assert re.search(words, fault)


def test_json_that_is_not_utf_8_names_its_line(folder):
    (folder / "a.json").write_bytes(b'{"x": {},\n"\xe4": {}}')
    with pytest.raises(ValueError, match=r"a\.json, line 2: .*not UTF-8"):
        read_json(folder)


def test_images_without_json_are_counted_with_all_ways_out(folder):
    with pytest.raises(ValueError, match="Points") as error:
        read_json(folder)
    (fault,) = faults_of(error)
    assert fault.startswith(
        f"{folder}: has no file for 1 of 2 images: 'a.png'. If they are"
    )
    assert as_lists(read_beside(folder, "skip")) == {"b.png": []}
    empty = read_beside(folder, "empty")
    assert as_lists(empty) == {"a.png": [], "b.png": []}
    assert read_json(folder, a='{"x": {}, "y": {}}') == as_lists(empty)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("A.json", "upper and lower case"), ("a.png.json", "the suffix")],
)
def test_json_that_may_be_of_an_image_is_told_so(folder, name, remedy):
    (folder / name).write_text('{"x": {}, "y": {}}')
    if (folder / "a.json").exists():
        pytest.skip("the file system has one case only")
    words = rf"{name}: .* There is a\.png: correct {remedy}\. Rename it"
    with pytest.raises(ValueError, match=words):
        read_beside(folder, "skip")


@pytest.mark.parametrize("unlabelled", ["error", "skip", "empty"])
def test_a_folder_without_any_json_is_an_error(folder, unlabelled):
    with pytest.raises(ValueError, match="has no files of points"):
        read_beside(folder, unlabelled)


def test_json_without_an_image_is_named(folder):
    with pytest.raises(ValueError, match=r"c\.json: has no image beside it"):
        read_json(folder, a='{"x": {}, "y": {}}', c='{"x": {}, "y": {}}')


def test_one_error_lists_all_slips_of_all_json_files(folder):
    with pytest.raises(ValueError, match="Points") as error:
        read_json(folder, b='{"x": {"p": "1", "q": 2}, "y": 3}', c='{"x": 1}')
    assert len(faults_of(error)) == 4


# Points outside


def headers(images, size, rotated=False):
    header = ImageHeader(size, 3, np.dtype("uint8"), rotated)
    return dict.fromkeys(images.values(), header)


def test_points_outside_name_their_place_and_the_size_of_the_image(folder):
    (folder / "points.csv").write_text("b,5,6,14,0,0,10.25\na,13.5,9.5,-1,0\n")
    images = list_images(folder)
    labels = read_points_csv(folder / "points.csv", images)
    faults = check_points_inside(labels, headers(images, (10, 14)))
    path = folder / "points.csv"
    assert faults == [
        f"{path}, line {line}: the point {point} lies outside {image}, whose "
        "size (height, width) is (10, 14)."
        for line, point, image in (
            (2, "x=-1, y=0", images["a"]),
            (1, "x=14, y=0", images["b"]),
            (1, "x=0, y=10.25", images["b"]),
        )
    ]
    assert check_points_inside(labels, {}) == []


def test_a_point_outside_in_json_is_named_by_its_key(folder):
    read_json(
        folder, a='{"x": {"near": 1, "far": 99}, "y": {"near": 0, "far": 0}}'
    )
    images = list_images(folder)
    labels = read_beside(folder)
    a = {"a": images["a"]}
    (fault,) = check_points_inside(labels, headers(a, (10, 14)))
    assert fault.startswith(f"{folder / 'a.json'}, key 'far': the point x=99")
