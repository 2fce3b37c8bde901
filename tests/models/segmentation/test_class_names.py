"""Names, colours and values of classes travel from labels to results."""

import csv
import hashlib
import json

import keras
import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data import (
    export_patches,
    read_image,
    read_mask,
    write_image,
)
from keras_patching.data.inspection.contact_sheet import contact_sheet
from keras_patching.data.inspection.contents import CacheContents
from keras_patching.data.inspection.report import describe

SIZE = (16, 24)
IDS = np.resize(np.array([0, 1, 2, 2], "uint8"), SIZE)
VALUES = np.array([0, 7, 11], "uint8")
NAMES = ["soil", "crop", "weed"]
COLORS = [(90, 60, 30), (0, 255, 0), (255, 0, 0)]
TABLE = """name,id,r,g,b
soil,0,90,60,30
crop,7,0,255,0
weed,11,255,0,0
"""


@pytest.fixture
def folders(tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    # A net that takes the brightest channel is right without training.
    image = np.eye(3, dtype="uint8")[IDS] * 255
    write_image(tmp_path / "images" / "a.png", image)
    write_image(tmp_path / "masks" / "a.png", VALUES[IDS])
    (tmp_path / "masks" / "classes.csv").write_text(TABLE)
    return tmp_path / "images", tmp_path / "masks"


def model_of(**options):
    conv = keras.layers.Conv2D(3, 1, activation="softmax")
    net = keras.Sequential([keras.Input((None, None, 3)), conv])
    conv.set_weights([np.eye(3)[None, None], np.zeros(3)])
    model = kp.SemanticSegmentationModel(3, net, patch_size=16, **options)
    model.compile(keras.optimizers.SGD(0.0))
    return model


def load(folders, model=None, **options):
    options["verbose"] = False
    if model is not None:
        return model.load_dataset_from_directory_with_segmentation_masks(
            *folders, **options
        )
    return kp.load_dataset_from_directory_with_segmentation_masks(
        *folders, 16, **options
    )


def trained(folders, **options):
    model = model_of(**options)
    sequence = load(folders, model)
    model.fit(sequence, verbose=0)
    return model


def known_of(thing):
    return thing.class_names, thing.class_colors, thing.class_ids


def test_a_model_takes_the_classes_of_what_it_is_trained_on(folders, tmp_path):
    model = model_of()
    sequence = load(folders, model)
    expected = NAMES, COLORS, {0: 0, 7: 1, 11: 2}
    assert known_of(sequence) == expected
    assert known_of(kp.PatchingSequence(sequence.manifest_path)) == expected
    assert known_of(model) == (None, None, None)
    model.fit(sequence, verbose=0)
    assert known_of(model) == expected
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert known_of(loaded) == expected
    assert load(folders, loaded).class_names == NAMES


def test_predicted_files_are_as_those_that_were_trained_on(folders, tmp_path):
    model = trained(folders)
    out = tmp_path / "out"
    kp.inference.predict_files(model, folders[0], out, verbose=False)
    np.testing.assert_array_equal(
        read_mask(out / "masks" / "a.png"), VALUES[IDS]
    )
    shown = read_image(out / "masks" / "a.png")
    np.testing.assert_array_equal(shown, np.array(COLORS)[IDS])
    overlay = read_image(out / "overlays" / "a.png")
    assert (overlay == COLORS[2]).all(axis=-1).any()
    with open(out / "results.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert int(row["pixels_weed"]) == (IDS == 2).sum()
    assert float(row["fraction_crop"]) == pytest.approx((IDS == 1).mean())
    again = load((folders[0], out / "masks"), model)
    assert known_of(again) == known_of(model)
    scores = model.evaluate_full_images(folders[0], out / "masks")
    assert scores["mean_iou"] == 1


@pytest.mark.parametrize("last", [-1, 70000])
def test_ids_that_png_does_not_hold_are_written_as_tiff(
    folders, tmp_path, last
):
    model = model_of(class_ids=[0, 7, last])
    out = tmp_path / "out"
    kp.inference.predict_files(model, folders[0], out, verbose=False)
    found = read_mask(out / "masks" / "a.tif")
    np.testing.assert_array_equal(found, np.array([0, 7, last])[IDS])
    with pytest.raises(ValueError, match="`format` must be one of 'tif'"):
        kp.inference.predict_files(model, folders[0], out, format="png")


def test_other_names_or_ids_are_refused(folders):
    sequence = load(folders)
    turned = ["crop", "soil", "weed"]
    for options in (
        {"class_names": turned},
        {"class_ids": [0, 11, 7]},
    ):
        model = model_of(**options)
        (name,) = options
        with pytest.raises(ValueError, match=f"has {name}=.* in this order"):
            model.fit(sequence, verbose=0)
        with pytest.raises(ValueError, match=r"found the names|its ids are"):
            load(folders, model)


def test_validation_of_other_classes_is_refused_and_nothing_learned(
    folders, tmp_path
):
    train = load(folders)
    (folders[1] / "classes.csv").write_text(TABLE.replace("crop", "tree"))
    val = load(folders, cache_dir=tmp_path / "other")
    model = model_of()
    with pytest.raises(ValueError, match="has class_names="):
        model.fit(train, validation_data=val, verbose=0)
    assert model.class_names is None


def test_a_model_keeps_what_it_was_given(folders):
    colors = dict(zip(NAMES, COLORS, strict=True))
    model = trained(folders, class_colors=colors, class_ids=[0, 7, 11])
    assert known_of(model) == (NAMES, COLORS, {0: 0, 7: 1, 11: 2})
    config = json.loads(json.dumps(model.get_config(), default=str))
    assert config["class_ids"] == [[0, 0], [7, 1], [11, 2]]


def test_a_cache_says_its_classes(folders):
    contents = CacheContents(load(folders).manifest_path)
    text = describe(contents)
    assert "0: 0, 7: 1, 11: 2" in text
    assert all(f"\n  {name} " in text for name in NAMES)
    sheet = contact_sheet(contents)
    assert (sheet == COLORS[1]).all(axis=-1).any()


def test_what_is_exported_is_read_again(folders, tmp_path):
    sequence = load(folders, shuffle=False)
    export_patches(sequence.manifest_path, tmp_path / "out", verbose=False)
    exported = tmp_path / "out" / "images", tmp_path / "out" / "masks"
    again = load(exported, shuffle=False)
    assert known_of(again) == known_of(sequence)
    for one, other in zip(sequence[0], again[0], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_color_of_unlabelled_pixels_is_exported_too(folders, tmp_path):
    (folders[1] / "classes.csv").write_text(f"{TABLE}void,255,1,1,1\n")
    mask = np.where(IDS == 1, 255, VALUES[IDS]).astype("uint8")
    write_image(folders[1] / "a.png", mask)
    sequence = load(folders, shuffle=False, ignore_value=255)
    export_patches(sequence.manifest_path, tmp_path / "out", verbose=False)
    exported = tmp_path / "out" / "images", tmp_path / "out" / "masks"
    again = load(exported, shuffle=False, ignore_value=255)
    assert again.class_colors == sequence.class_colors == [*COLORS, (1, 1, 1)]
    np.testing.assert_array_equal(again[0][1], sequence[0][1])


def test_a_cache_without_names_still_opens(folders):
    sequence = load(folders)
    content = json.loads(sequence.manifest_path.read_text())
    del content["classes"], content["sha256"]
    head = json.dumps(content, separators=(",", ":"))[:-1]
    sha256 = hashlib.sha256(head.encode()).hexdigest()
    sequence.manifest_path.write_text(f'{head},"sha256":"{sha256}"}}')
    opened = kp.PatchingSequence(sequence.manifest_path)
    assert known_of(opened) == (None, None, None)


@pytest.mark.parametrize(
    "classes",
    [
        ["soil"],
        {"names": ["soil", "soil", "weed"]},
        {"names": ["soil", "crop"]},
        {"names": [1, 2, 3]},
        {"colors": [[0, 0, 0], [0, 0, 1], [0, 0, 256]]},
        {"ids": [[0, 0], [1]]},
        {"files": []},
    ],
)
def test_a_manifest_with_other_classes_is_refused(folders, classes):
    sequence = load(folders)
    content = json.loads(sequence.manifest_path.read_text())
    del content["sha256"]
    content["classes"] = classes
    head = json.dumps(content, separators=(",", ":"))[:-1]
    sha256 = hashlib.sha256(head.encode()).hexdigest()
    sequence.manifest_path.write_text(f'{head},"sha256":"{sha256}"}}')
    with pytest.raises(ValueError, match="classes"):
        kp.PatchingSequence(sequence.manifest_path)
