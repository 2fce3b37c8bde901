"""The command line does what its help says, and tells what is wrong."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

import keras_patching
from keras_patching import cli
from keras_patching.data.images.image_io import write_image

COMMANDS = ("demo", "patch", "clean")


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    images, masks = tmp_path / "images", tmp_path / "masks"
    for folder, shape, values in (
        (images, (10, 14, 3), (50, 256)),
        (masks, (10, 14), (0, 2)),
    ):
        folder.mkdir()
        for index in range(3):
            array = rng.integers(*values, shape, dtype=np.uint8)
            write_image(folder / f"{index}.png", array)
    return images, masks


def patch(folders, *options):
    return cli.main(["patch", *map(str, folders), *options])


def manifests(folders):
    return list(folders[0].with_name("images_patches").glob("*.json"))


def shards(folders):
    return list(folders[0].with_name("images_patches").glob("shards/*"))


# Parsing


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["demo", "--epochs", "0"],
        ["demo", "--seed", "-1"],
        ["demo", "--task", "weather"],
        ["patch", "images", "masks"],
        ["patch", "images", "--patch-size", "8"],
        ["patch", "images", "masks", "--patch-size", "0"],
        ["patch", "images", "masks", "--patch-size", "8.5"],
        ["patch", "images", "masks", "--patch-size", "8", "8", "8"],
        ["patch", "images", "masks", "--patch-size", "8", "--channels", "0"],
        ["patch", "i", "m", "--patch-size", "8", "--value-range", "nan", "1"],
        ["demo", "--seed", "4294967296"],
        ["clean"],
        ["clean", "patches", "--min-age", "-5"],
        ["clean", "patches", "--min-age", "nan"],
        ["predict", "m", "i", "--out", "o", "--device-memory", "much"],
        ["predict", "m", "i", "--out", "o", "--device-memory", "0.1"],
        ["predict", "m", "i", "--out", "o", "--device-memory", "GB"],
    ],
)
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main(arguments)
    assert exit_info.value.code == 2
    captured = capsys.readouterr()
    assert "usage: keras-patching" in captured.err
    assert captured.out == ""


@pytest.mark.parametrize("command", [[], *([name] for name in COMMANDS)])
def test_help_fits_a_terminal_and_names_the_defaults(command, capsys):
    with pytest.raises(SystemExit) as exit_info:
        cli.main([*command, "--help"])
    assert exit_info.value.code == 0
    printed = capsys.readouterr().out
    if command:
        assert "default: " in printed
    else:
        assert all(name in printed for name in COMMANDS)


def test_the_module_is_the_command_too():
    done = subprocess.run(
        [sys.executable, "-m", "keras_patching", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"keras-patching {keras_patching.__version__}\n"


# keras-patching patch


def test_patch_builds_a_cache_and_tells_where(folders, capsys):
    assert patch(folders, "--patch-size", "8") == 0
    (manifest,) = manifests(folders)
    assert str(manifest) in capsys.readouterr().out
    images, masks = keras_patching.PatchingSequence(manifest, batch_size=12)[0]
    assert images.shape == (12, 8, 8, 3)
    assert masks.shape == (12, 8, 8)


def test_patch_makes_what_the_loader_finds(folders, capsys):
    patch(folders, "--patch-size", "8", "4")
    keras_patching.load_dataset_from_directory_with_segmentation_masks(
        *folders, patch_size=(8, 4)
    )
    assert "Found 24 cached patches" in capsys.readouterr().out
    assert len(manifests(folders)) == 1


def test_patch_hands_its_options_on(folders, tmp_path):
    cache_dir = tmp_path / "elsewhere"
    status = patch(
        folders,
        *("--patch-size", "8", "--num-classes", "3", "--ignore-value", "255"),
        *("--channels", "all", "--value-range", "50", "255"),
        *("--cache-dir", str(cache_dir)),
    )
    assert status == 0
    assert manifests(folders) == []
    (manifest,) = cache_dir.glob("*/*.json")
    images, masks = keras_patching.PatchingSequence(manifest, shuffle=False)[0]
    assert images.shape == (12, 8, 8, 3)
    assert images[3, -1, -1].tolist() == [50, 50, 50]
    assert masks[3, -1, -1] == 255


def test_patch_takes_what_masks_do_not_tell(folders):
    (folders[1] / next(folders[1].iterdir()).name).unlink()
    options = "--patch-size 8 --class-names soil plant --class-ids 1 0"
    assert patch(folders, *options.split(), "--unlabelled", "skip") == 0
    (manifest,) = manifests(folders)
    sequence = keras_patching.PatchingSequence(manifest)
    assert sequence.class_names == ["soil", "plant"]
    assert sequence.class_ids == {1: 0, 0: 1}
    assert len(sequence.image_names) == 2


def test_patch_makes_grey_of_colour(folders):
    patch(folders, "--patch-size", "8", "--channels", "grayscale")
    (manifest,) = manifests(folders)
    images, _ = keras_patching.PatchingSequence(manifest)[0]
    assert images.shape == (12, 8, 8, 1)


def test_patch_cuts_again_only_on_demand(folders, capsys):
    for options, word in (
        ((), "Cutting"),
        ((), "Found"),
        (("--overwrite",), "Cutting"),
    ):
        assert patch(folders, "--patch-size", "8", *options) == 0
        assert capsys.readouterr().out.startswith(word)


# keras-patching clean


def test_clean_removes_what_no_cache_names_and_says_how_much(folders, capsys):
    patch(folders, "--patch-size", "8")
    kept = set(shards(folders))
    patch(folders, "--patch-size", "4")
    orphans = set(shards(folders)) - kept
    (manifest,) = (m for m in manifests(folders) if "4x4" in m.name)
    manifest.unlink()
    hours_ago = time.time() - 7200
    for path in orphans:
        os.utime(path, (hours_ago, hours_ago))
    size = sum(path.stat().st_size for path in orphans)
    capsys.readouterr()

    assert cli.main(["clean", str(manifest.parent)]) == 0
    assert set(shards(folders)) == kept
    printed = capsys.readouterr().out
    assert f"Removed {len(orphans)} files ({size:,} bytes)" in printed


def test_clean_keeps_young_files_unless_told(folders, capsys):
    patch(folders, "--patch-size", "8")
    directory = manifests(folders)[0].parent
    orphan = directory / "shards" / "old-01234567.images.npy"
    orphan.write_bytes(b"123")
    assert cli.main(["clean", str(directory)]) == 0
    assert orphan.exists()
    assert cli.main(["clean", str(directory), "--min-age", "0"]) == 0
    assert not orphan.exists()


def test_clean_refuses_other_folders(folders, capsys):
    before = sorted(folders[0].parent.rglob("*"))
    assert cli.main(["clean", str(folders[0])]) == 1
    assert "holds no manifest" in capsys.readouterr().err
    assert sorted(folders[0].parent.rglob("*")) == before


# Errors


def test_an_error_is_one_message_and_status_1(folders, capsys):
    write_image(folders[1] / "3.png", np.zeros((10, 14), "uint8"))
    assert patch(folders, "--patch-size", "8") == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("keras-patching: error: ")
    assert "has no image" in captured.err
    assert "Traceback" not in captured.err
    assert captured.out == ""


def test_a_missing_folder_is_named(tmp_path, capsys):
    missing = str(tmp_path / "missing")
    for arguments in (
        ["patch", missing, missing, "--patch-size", "8"],
        ["clean", missing],
    ):
        assert cli.main(arguments) == 1
        assert f"error: {missing}: no such" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_named(tmp_path, capsys):
    path = tmp_path / "file"
    path.write_text("mine")
    assert cli.main(["demo", "--out", str(path)]) == 1
    assert str(path) in capsys.readouterr().err
    assert path.read_text() == "mine"
