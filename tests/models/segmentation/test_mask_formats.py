"""Masks are read as tools export them, and nothing is guessed."""

import json

import numpy as np
import pytest

from keras_patching.data.images.image_io import write_image
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks as load,
)

SIZE = (10, 14)
IDS = np.resize(np.array([0, 1, 2], "uint8"), SIZE)
COLORS = [(0, 0, 0), (0, 255, 0), (255, 0, 0)]
NAMED = dict(zip(("soil", "crop", "weed"), COLORS, strict=True))
# What Pascal VOC gives the classes 0, 1, 2 and 255.
VOC = np.zeros((256, 3), "uint8")
VOC[[1, 2, 255]] = (128, 0, 0), (0, 128, 0), (224, 224, 192)


@pytest.fixture
def folders(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for index in range(2):
        image = np.full((*SIZE, 3), index, np.uint8)
        write_image(tmp_path / "images" / f"{index}.png", image)
    return tmp_path / "images", tmp_path / "masks"


def write_masks(folders, mask, name="{}.png", **options):
    for index in range(2):
        write_image(folders[1] / name.format(index), mask, **options)


def load_quietly(folders, **options):
    return load(*folders, 16, verbose=False, shuffle=False, **options)


def mask_of(sequence):
    return sequence[0][1][0, : SIZE[0], : SIZE[1]]


def fails(folders, **options):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        load_quietly(folders, **options)
    return str(error.value)


def painted(ids, colors=COLORS):
    return np.asarray(colors, "uint8")[ids]


# Palettes


def test_a_palette_is_of_ids_and_its_colors_are_kept(folders):
    write_masks(folders, IDS, palette=VOC)
    sequence = load_quietly(folders, num_classes=3)
    np.testing.assert_array_equal(mask_of(sequence), IDS)
    assert sequence.class_colors == [(0, 0, 0), (128, 0, 0), (0, 128, 0)]


@pytest.mark.parametrize(
    "palette",
    [[(i, i, i) for i in range(3)], [(9, 9, 9), (9, 9, 9), (1, 2, 3)]],
)
def test_a_palette_that_does_not_tell_classes_apart_is_no_colors(
    folders, palette
):
    write_masks(folders, IDS, palette=palette)
    sequence = load_quietly(folders, num_classes=3)
    np.testing.assert_array_equal(mask_of(sequence), IDS)
    assert sequence.class_colors is None


def test_palettes_that_number_the_same_colors_otherwise_are_an_error(folders):
    write_masks(folders, IDS, palette=COLORS)
    turned = [COLORS[0], COLORS[2], COLORS[1]]
    write_image(folders[1] / "1.png", IDS, palette=turned)
    message = fails(folders, num_classes=3)
    assert (
        f"{folders[1] / '1.png'}: its palette shows the id 1 in the color"
        in (message)
    )
    assert "save it as RGB" in message


def test_palettes_of_some_classes_that_differ_are_an_error(folders):
    for index, color in enumerate(COLORS[1:]):
        ids, palette = IDS // 2, [COLORS[0], color]
        path = folders[1] / f"{index}.png"
        write_image(path, ids, palette=palette)
    message = fails(folders, num_classes=3)
    assert "1.png: its palette shows the id 1 in the color (255, 0" in message
    assert "that of 0.png in (0, 255, 0)" in message


def test_unlabelled_borders_of_pascal_voc_are_told(folders):
    mask = np.where(IDS == 2, 255, IDS).astype("uint8")
    write_masks(folders, mask, palette=VOC)
    assert "ignore_value=255 if 255 marks" in fails(folders, num_classes=3)
    # 255 is not white here, and so not class 1 of a mask of black and white.
    write_masks(folders, np.where(mask, 255, 0).astype("uint8"), palette=VOC)
    assert "ignore_value=255 if 255 marks" in fails(folders, num_classes=2)
    write_masks(folders, mask, palette=VOC)
    sequence = load_quietly(folders, num_classes=2, ignore_value=255)
    np.testing.assert_array_equal(mask_of(sequence), mask)


# Colours


@pytest.mark.parametrize("colors", [NAMED, COLORS], ids=["named", "in order"])
def test_rgb_is_read_by_the_colors_of_the_classes(folders, colors):
    write_masks(folders, painted(IDS))
    sequence = load_quietly(folders, class_colors=colors)
    np.testing.assert_array_equal(mask_of(sequence), IDS)
    assert sequence.class_colors == COLORS
    assert sequence.class_names == (list(NAMED) if colors is NAMED else None)


TABLES = {
    "classes.csv": """id;Name;R;G;B
0;soil;0;0;0
1;crop;0;255;0
2;weed;255;0;0""",
    "class_dict.csv": """name,r,g,b
soil, 0,0,0
crop,0, 255,0

weed,255,0,0
""",
    "labelmap.txt": """# label:color_rgb:parts:actions
soil:0,0,0::
crop:0,255,0::
weed:255,0,0::
""",
    "label_colors.txt": "0 0 0\t\tsoil\n0 255 0\tcrop\n255 0 0 weed\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_beside_the_masks_tell_names_and_colors(folders, name):
    write_masks(folders, painted(IDS))
    (folders[1] / name).write_text(TABLES[name])
    for given in ({}, {"num_classes": 3}, {"class_names": list(NAMED)}):
        sequence = load_quietly(folders, **given)
        np.testing.assert_array_equal(mask_of(sequence), IDS)
        assert sequence.class_names == list(NAMED)
        assert sequence.class_colors == COLORS
    elsewhere = (folders[1] / name).rename(folders[1].parent / name)
    sequence = load_quietly(folders, class_colors=elsewhere)
    assert sequence.class_names == list(NAMED)


def test_grey_within_colors_is_a_color_too(folders):
    # Black is class 1, though all its channels are 0.
    write_masks(folders, np.zeros((*SIZE, 3), "uint8"))
    with pytest.warns(UserWarning, match="All labelled pixels are of class 1"):
        sequence = load_quietly(folders, class_colors=[(9, 9, 9), (0, 0, 0)])
    assert (mask_of(sequence) == 1).all()


def test_a_color_of_no_class_is_told_with_its_first_place(folders):
    mask = painted(IDS)
    mask[3, 5:7] = (1, 2, 3), (4, 5, 6)
    write_masks(folders, mask)
    message = fails(folders, class_colors=NAMED)
    assert str(folders[1] / "0.png") in message
    assert "(1, 2, 3), and 1 or more others, first" in message
    assert "(y, x) = (3, 5)" in message


def test_transparent_colors_are_an_error(folders):
    mask = np.dstack([painted(IDS), np.full(SIZE, 255, "uint8")])
    write_masks(folders, mask)
    np.testing.assert_array_equal(
        mask_of(load_quietly(folders, class_colors=NAMED)), IDS
    )
    mask[2, 4, 3] = 0
    write_masks(folders, mask)
    message = fails(folders, class_colors=NAMED)
    assert "transparent, first at the pixel (y, x) = (2, 4)" in message


def test_one_color_more_is_that_of_unlabelled_pixels(folders):
    write_masks(folders, painted(IDS))
    options = {"num_classes": 2, "class_colors": NAMED}
    assert "needs `ignore_value`" in fails(folders, **options)
    sequence = load_quietly(folders, ignore_value=255, **options)
    expected = np.where(IDS == 2, 255, IDS)
    np.testing.assert_array_equal(mask_of(sequence), expected)
    assert sequence.class_names == ["soil", "crop"]
    assert sequence.class_colors == COLORS


def test_colors_without_a_map_are_told_how_to_be_named(folders):
    write_masks(folders, painted(IDS))
    message = fails(folders, num_classes=3)
    assert "`class_colors=" in message
    assert "classes.csv" in message


def test_other_colors_cut_the_masks_anew(folders):
    write_masks(folders, painted(IDS))
    for colors in (COLORS, COLORS[::-1], COLORS):
        sequence = load_quietly(folders, class_colors=colors)
        expected = IDS if colors[0] == COLORS[0] else 2 - IDS
        np.testing.assert_array_equal(mask_of(sequence), expected)
    # Names and colours decide no patch: they do not make another cache.
    assert len(list(sequence.directory.glob("*.json"))) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "name,r,g\nsoil,0,0\n",
            "line 1: found the columns ['name', 'r', 'g']",
        ),
        ("name,r,g,b\nsoil,0,0,256\n", "line 2: found the color 0, 0, 256"),
        ("name,r,g,b\nsoil,0,0\n", "line 2: found ['soil', '0', '0']"),
        ("name,id\nsoil,0\nsoil,1\n", "found the name soil more than once"),
        ("name,id\nsoil,one\n", "line 2: found the id 'one'"),
        ("name,id\n", "has no rows"),
        ("0 0 0 soil\n0 255 crop\n", "line 2: found '0 255 crop'"),
    ],
)
def test_a_table_is_read_strictly(folders, text, expected):
    write_masks(folders, IDS)
    path = folders[1] / "classes.csv"
    path.write_text(text)
    assert f"{path}" in fails(folders)
    assert expected in fails(folders)


def test_a_table_of_other_classes_is_an_error(folders):
    write_masks(folders, IDS)
    path = folders[1] / "classes.csv"
    path.write_text(TABLES["classes.csv"])
    assert "has 3 names of classes" in fails(folders, num_classes=4)
    given = {"class_names": ["crop", "soil", "weed"]}
    assert "found the names ['soil', 'crop', 'weed']" in fails(folders, **given)
    given = {"class_colors": COLORS[::-1]}
    assert "found the colors" in fails(folders, **given)
    (folders[1] / "class_dict.csv").write_text(TABLES["class_dict.csv"])
    assert "expected one table of classes" in fails(folders)


# Values with gaps


@pytest.mark.parametrize("class_ids", [[0, 7, 11], {11: 2, 0: 0, 7: 1}])
def test_ids_with_gaps_are_mapped_when_asked(folders, class_ids):
    write_masks(folders, np.array([0, 7, 11], "uint8")[IDS])
    assert "listed by `class_ids`" in fails(folders, num_classes=3)
    sequence = load_quietly(folders, class_ids=class_ids)
    np.testing.assert_array_equal(mask_of(sequence), IDS)
    assert sequence.class_ids == {0: 0, 7: 1, 11: 2}
    assert "found the values 0, 7, 11" in fails(folders, class_ids=[0, 7])


def test_a_table_may_have_no_colors(folders):
    write_masks(folders, IDS)
    table = "Pixel Value, Class\n0, soil\n1, crop\n2, weed\n"
    (folders[1] / "_classes.csv").write_text(table)
    assert load_quietly(folders).class_names == list(NAMED)


def test_a_table_gives_the_ids_too(folders):
    write_masks(folders, np.array([0, 7, 255], "uint8")[IDS])
    table = "id,name\n0,soil\n7,crop\n255,void\n"
    (folders[1] / "classes.csv").write_text(table)
    sequence = load_quietly(folders, ignore_value=255)
    expected = np.array([0, 1, 255])[IDS]
    np.testing.assert_array_equal(mask_of(sequence), expected)
    assert sequence.class_names == ["soil", "crop"]


def test_several_values_may_be_one_class_or_ignored(folders):
    write_masks(folders, np.array([4, 7, 11], "uint8")[IDS])
    class_ids = {4: 0, 7: 1, 11: 1, 3: 255}
    sequence = load_quietly(folders, class_ids=class_ids, ignore_value=255)
    np.testing.assert_array_equal(mask_of(sequence), np.minimum(IDS, 1))


@pytest.mark.parametrize(
    "options",
    [
        {"class_ids": [0, 7], "num_classes": 3},
        {"class_ids": [0, 0, 7]},
        {"class_ids": {0: 0, 7: 2}},
        {"class_ids": "ids"},
        {"class_ids": [3, 7, 8], "ignore_value": 0},
        {"class_colors": [(0, 0, 0), (0, 0, 300)]},
        {"class_colors": [(0, 0, 0), (0, 0, 0)]},
        {"class_colors": NAMED, "num_classes": 2},
        {"class_names": ["soil"], "num_classes": 2},
    ],
)
def test_classes_that_contradict_each_other_are_refused(folders, options):
    write_masks(folders, IDS)
    name = next(iter(options))
    assert f"`{name}`" in fails(folders, **options)


# Folders of other tools


def nnunet(folders, **description):
    """Rename what `folders` has to what nnU-Net calls it."""
    root = folders[0].parent
    images = folders[0].rename(root / "imagesTr")
    for path in list(images.iterdir()):
        path.rename(images / f"case{path.stem}_0000.png")
    masks = folders[1].rename(root / "labelsTr")
    for path in list(masks.iterdir()):
        path.rename(masks / f"case{path.name}")
    content = {"channel_names": {"0": "R"}, "file_ending": ".png"} | description
    (root / "dataset.json").write_text(json.dumps(content))
    return images, masks


@pytest.mark.parametrize(
    "labels",
    [
        {"soil": 0, "crop": 1, "weed": 2},
        {"0": "soil", "1": "crop", "2": "weed"},
    ],
)
def test_folders_of_nnunet_are_read(folders, labels):
    write_masks(folders, IDS)
    sequence = load_quietly(nnunet(folders, labels=labels))
    np.testing.assert_array_equal(mask_of(sequence), IDS)
    assert sequence.class_names == ["soil", "crop", "weed"]
    assert sequence.image_names == ["case0_0000.png", "case1_0000.png"]


def test_what_nnunet_ignores_is_to_be_asked_for(folders):
    write_masks(folders, IDS)
    labels = {"soil": 0, "crop": 1, "ignore": 2}
    folders = nnunet(folders, labels=labels)
    assert "Pass ignore_value=2" in fails(folders)
    sequence = load_quietly(folders, ignore_value=2)
    assert sequence.class_names == ["soil", "crop"]
    assert sequence.parameters["num_classes"] == 2


def test_classes_of_one_name_are_refused(folders):
    write_masks(folders, IDS)
    folders = nnunet(folders, labels={"0": "soil", "1": "soil", "2": "weed"})
    assert "distinct names" in fails(folders)


def test_what_nnunet_has_and_is_not_read_is_told(folders):
    write_masks(folders, IDS)
    folders = nnunet(folders, labels={"soil": 0, "plant": [1, 2]})
    assert 'found "plant": [1.0, 2.0]' in fails(folders)
    image = (folders[0] / "case0_0000.png").read_bytes()
    (folders[0] / "case0_0001.png").write_bytes(image)
    message = fails(folders)
    assert "a file for each channel of 1 of 2 cases" in message
    assert "case0_0000.png, case0_0001.png" in message


def test_all_masks_may_have_one_ending_more(folders):
    write_masks(folders, IDS, name="{}_L.png")
    assert load_quietly(folders, num_classes=3).num_samples == 2
    (folders[1] / "1_L.png").rename(folders[1] / "1_R.png")
    assert "do not pair" in fails(folders, num_classes=3)
    # A number tells images apart.
    for name in "01":
        (folders[0] / f"{name}.png").rename(folders[0] / f"a{name}.png")
    for path in list(folders[1].iterdir()):
        path.rename(folders[1] / f"a{path.name[0]}_7.png")
    assert "do not pair" in fails(folders, num_classes=3)


def test_images_without_a_mask_are_left_out_when_asked(folders):
    write_image(folders[1] / "1.png", IDS)
    assert "has no mask" in fails(folders, num_classes=3)
    sequence = load_quietly(folders, num_classes=3, unlabelled="skip")
    assert sequence.image_names == ["1.png"]
    sequence = load_quietly(folders, num_classes=3, unlabelled="empty")
    assert sequence.image_names == ["0.png", "1.png"]
    assert not mask_of(sequence).any()


def test_padding_of_a_class_that_is_not_the_background_is_told(folders):
    write_masks(folders, IDS)
    names = ("crop", "weed", "background")
    with pytest.warns(UserWarning, match="patches are of class 0, 'crop', and"):
        load_quietly(folders, class_names=names)
    # Nothing is told where nothing is learned, or nothing is padded.
    load_quietly(folders, class_names=names, ignore_value=255)
    load(*folders, (5, 7), class_names=names, verbose=False)


@pytest.mark.parametrize("column", ["id", "Index", "class_id", "idx"])
def test_a_column_of_ids_decides_which_class_is_which(folders, column):
    write_masks(folders, IDS)
    table = f"name,{column}\nweed,2\nsoil,0\ncrop,1\n"
    (folders[1] / "classes.csv").write_text(table)
    sequence = load_quietly(folders)
    weeds = mask_of(sequence) == sequence.class_names.index("weed")
    np.testing.assert_array_equal(weeds, IDS == 2)
