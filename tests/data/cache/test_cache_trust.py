"""A cache folder is input: what is not as it was written is refused.

Whatever a folder holds, a sequence gives the patches that were cut, or an
error, and the loader gives the patches that were cut.
"""

import hashlib
import json
import os
import shutil

import numpy as np
import pytest

import keras_patching as kp
from keras_patching.data.cache import manifest as manifests
from keras_patching.data.cache import shard_builder
from keras_patching.data.cache.cleaning import clean
from keras_patching.data.cache.manifest import VERSION, read_manifest
from keras_patching.data.cache.opening import load_cache
from keras_patching.data.images.image_io import write_image
from keras_patching.data.inspection.export import export_copy, export_patches

SIZE, PATCH = (20, 26), 16


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """Two images with boxes; files as old as they mostly are."""
    folder = tmp_path_factory.mktemp("original")
    (folder / "trays").mkdir()
    rng = np.random.default_rng(0)
    entries = {}
    for name in ("a.png", "b.png"):
        pixels = rng.integers(0, 256, (*SIZE, 3), dtype="uint8")
        write_image(folder / "trays" / name, pixels)
        os.utime(folder / "trays" / name, (10**9, 10**9))
        xs = rng.integers(0, 12, 3)
        entries[name] = {
            "objects": [
                {"all_points_x": [int(x), int(x) + 6], "all_points_y": [3, 11]}
                for x in xs
            ]
        }
    (folder / "labels.json").write_text(json.dumps(entries))
    load(folder, "images")
    load(folder, "patches")
    return folder


@pytest.fixture
def folder(original, tmp_path):
    shutil.copytree(original, tmp_path / "copy")
    return tmp_path / "copy"


def load(folder, store="images", **kwargs):
    return kp.load_yolo_dataset_from_directory(
        "../labels.json",
        folder / "trays",
        PATCH,
        grid_size=(2, 2),
        store=store,
        **{"seed": 0, "verbose": False, "shuffle": False, **kwargs},
    )


def content(sequence):
    return [
        (array.dtype, array.shape, array.tobytes())
        for images, targets in sequence
        for array in (images, targets["boxes"], targets["labels"])
    ]


def manifest_of(folder, store="images"):
    return next(
        path
        for path in (folder / "trays_patches").glob("*.json")
        if f'"store":"{store}"' in path.read_text()
    )


def rewrite(path, change):
    """Change a manifest as somebody does who knows how it is hashed."""
    fields = json.loads(path.read_text())
    del fields["sha256"]
    change(fields)
    head = json.dumps(fields, separators=(",", ":")).encode()[:-1]
    end = f',"sha256":"{hashlib.sha256(head).hexdigest()}"}}'
    path.write_bytes(head + end.encode())


def test_a_manifest_that_is_rewritten_as_it_was_loads(folder):
    path = manifest_of(folder)
    rewrite(path, lambda fields: None)
    assert content(kp.PatchingSequence(path, shuffle=False))


def shard(fields, kind):
    return fields["sources"][0]["shards"][kind]


def origins(fields):
    return fields["sources"][0]["origins"]


CRAFTED = {
    "dtype object": lambda f: shard(f, "boxes").update(dtype="object"),
    "structured": lambda f: shard(f, "boxes").update(dtype="u1,(9,)f8"),
    "dtype of a time": lambda f: shard(f, "boxes").update(dtype="M8[s]"),
    "dtype is no text": lambda f: shard(f, "boxes").update(dtype=8),
    "other dtype": lambda f: shard(f, "whole_images").update(dtype="int8"),
    "higher": lambda f: shard(f, "whole_images")["shape"].__setitem__(2, 21),
    "lower": lambda f: shard(f, "whole_images")["shape"].__setitem__(2, 19),
    "turned": lambda f: shard(f, "whole_images").update(
        shape=[1, 1, 26, 20, 3]
    ),
    "negative": lambda f: shard(f, "whole_images").update(
        shape=[1, 1, -20, -26, 3]
    ),
    "float": lambda f: shard(f, "whole_images")["shape"].__setitem__(2, 20.0),
    "huge": lambda f: shard(f, "boxes")["shape"].__setitem__(1, 2**62),
    "flat boxes": lambda f: shard(f, "boxes").update(shape=[99]),
    "three corners": lambda f: shard(f, "boxes")["shape"].__setitem__(2, 3),
    "ignore value": lambda f: f["parameters"].update(ignore_value=[[]]),
    "facts of one source": lambda f: shard(f, "boxes").update(facts={}),
    "bytes": lambda f: shard(f, "whole_images").update(bytes=10**9),
    "negative bytes": lambda f: shard(f, "whole_images").update(bytes=-1),
    "climbing shard": lambda f: shard(f, "whole_images").update(
        file="../a.npy"
    ),
    "absolute shard": lambda f: shard(f, "whole_images").update(
        file="/etc/passwd"
    ),
    "folder": lambda f: shard(f, "whole_images").update(file=".."),
    "no name of a file": lambda f: shard(f, "whole_images").update(
        file="\ud800.npy"
    ),
    "time of no clock": lambda f: shard(f, "boxes").update(mtime_ns=10**30),
    "a nul": lambda f: shard(f, "whole_images").update(file="a\0.npy"),
    "climbing name": lambda f: f["sources"][0].update(name="../a.png"),
    "absolute name": lambda f: f["sources"][0].update(name="/a.png"),
    "unknown name": lambda f: f["sources"][0].update(name="c.png"),
    "name twice": lambda f: f["sources"][0].update(name="b.png"),
    "climbing task": lambda f: f.update(task="../../x"),
    "task": lambda f: f.update(task=["detection"]),
    "kind": lambda f: f["sources"][0]["shards"].update({"../x": 1}),
    "no images": lambda f: [
        q["shards"].pop("whole_images") for q in f["sources"]
    ],
    "origin below": lambda f: origins(f).__setitem__(
        0, [shard(f, "whole_images")["shape"][2], 0]
    ),
    "origin left": lambda f: origins(f).__setitem__(0, [0, -1]),
    "origin float": lambda f: origins(f).__setitem__(0, [0.5, 0]),
    "origin huge": lambda f: origins(f).__setitem__(0, [2**70, 0]),
    "origin lost": lambda f: origins(f).pop(),
    "stage lost": lambda f: f["sources"][0]["stages"].pop(),
    "no augmentations": lambda f: f["sources"][0].update(augmentations=[]),
    "facts": lambda f: shard(f, "boxes")["facts"].update(objects=["a"]),
    "facts lost": lambda f: shard(f, "boxes")["facts"]["objects"].pop(),
    "patch size": lambda f: f.update(patch_size=[0, 16]),
    "patch sizes": lambda f: f.update(patch_size=[16, 16, 16]),
    "no value range": lambda f: f["parameters"].pop("value_range"),
    "value range": lambda f: f["parameters"].update(value_range=["a", 1]),
    "resize": lambda f: f["parameters"].update(resize=0.5),
    "resize huge": lambda f: f["parameters"].update(resize=1e300),
    "resize text": lambda f: f["parameters"].update(resize="half"),
    "resize pair": lambda f: f["parameters"].update(resize=[0, 5]),
    "header": lambda f: f["files"]["a.png"].update(header=[20, 2600, 3]),
    "sizes": lambda f: f["files"]["a.png"]["header"].__setitem__(0, 40),
    "no files": lambda f: f.update(files={}),
    "no sources": lambda f: f.update(sources=[]),
    "more": lambda f: f.update(more=1),
    "less": lambda f: f.pop("hashed_at_ns"),
}


@pytest.mark.parametrize("change", CRAFTED.values(), ids=CRAFTED)
def test_a_crafted_manifest_is_refused_and_the_loader_mends_it(folder, change):
    path = manifest_of(folder)
    expected = content(kp.PatchingSequence(path, shuffle=False))
    rewrite(path, change)
    for use in (kp.PatchingSequence, export_patches, export_copy):
        out = [] if use is kp.PatchingSequence else [folder / "out"]
        with pytest.raises(ValueError, match=r"\.json: ") as error:
            use(path, *out)
        assert "Call the loader" in str(error.value)
    assert not (folder / "out").exists()
    assert content(load(folder)) == expected
    assert content(kp.PatchingSequence(path, shuffle=False)) == expected


@pytest.mark.parametrize("num_classes", [None, 2.0, "2", 3, 2**60])
def test_masks_of_other_classes_than_were_counted_are_refused(
    tmp_path, num_classes
):
    for name, shape in ("images", (*SIZE, 3)), ("masks", SIZE):
        (tmp_path / name).mkdir()
        pixels = np.zeros(shape, "uint8")
        pixels[:10] = 1
        write_image(tmp_path / name / "a.png", pixels)
    sequence = kp.load_dataset_from_directory_with_segmentation_masks(
        tmp_path / "images", tmp_path / "masks", 16, verbose=False
    )
    path = sequence.manifest_path
    rewrite(path, lambda f: f["parameters"].update(num_classes=num_classes))
    with pytest.raises(ValueError, match="classes") as error:
        kp.PatchingSequence(path)
    assert "Call the loader" in str(error.value)


def test_patches_of_another_size_than_the_manifests_are_refused(folder):
    path = manifest_of(folder, "patches")
    rewrite(path, lambda fields: fields.update(patch_size=[8, 16]))
    with pytest.raises(ValueError, match="cannot be: the shape"):
        kp.PatchingSequence(path)


def flip(data, rng):
    """Change one bit of some bytes."""
    changed = bytearray(data)
    bit = rng.integers(8 * len(data))
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


@pytest.mark.parametrize("what", ["*.json", "shards/*"])
def test_one_flipped_bit_gives_no_other_patches(folder, what):
    expected = {s: content(load(folder, s)) for s in ("images", "patches")}
    rng = np.random.default_rng(0)
    files = sorted((folder / "trays_patches").glob(what))
    for file in rng.choice(files, 12):
        store = "patches" if ".images." in file.name else "images"
        if file == manifest_of(folder, "patches"):
            store = "patches"
        path = manifest_of(folder, store)
        before = file.read_bytes()
        file.write_bytes(flip(before, rng))
        os.utime(file, (10**9, 10**9))
        with pytest.raises(ValueError, match=r"\.json: "):
            kp.PatchingSequence(path)
        assert content(load(folder, store)) == expected[store]
        if file.suffix != ".json":
            assert file.read_bytes() == before


@pytest.mark.parametrize("lost", ["removed", "damaged", "of version 1"])
def test_a_damaged_shard_without_its_manifest_is_cut_again(folder, lost):
    path = manifest_of(folder, "patches")
    expected = content(kp.PatchingSequence(path, shuffle=False))
    whole = {p: p.read_bytes() for p in path.parent.glob("shards/*")}
    rng = np.random.default_rng(0)
    for file, data in whole.items():
        os.utime(file, (10**9, 10**9))
        if file.name.startswith("a-"):
            file.write_bytes(data[:200] + flip(data[200:], rng))
    for manifest in path.parent.glob("*.json"):
        if lost == "removed":
            manifest.unlink()
        else:
            text = manifest.read_text()
            version = f'"version":{VERSION}', '"version":1'
            change = version, ("{", "[")
            manifest.write_text(text.replace(*change[lost == "damaged"], 1))
    assert content(load(folder, "patches")) == expected
    for file in path.parent.glob("shards/a-*"):
        if ".whole_images." not in file.name:  # which this store does not have
            assert file.read_bytes() == whole[file]


def test_a_shard_under_the_name_of_another_is_not_taken(folder):
    """So would two names be that one hash made equal."""
    path = manifest_of(folder)
    expected = content(kp.PatchingSequence(path, shuffle=False))
    one, other = (
        next(path.parent.glob(f"shards/{stem}-*.whole_images.npy"))
        for stem in "ab"
    )
    assert one.stat().st_size == other.stat().st_size
    shutil.copyfile(other, one)
    for manifest in path.parent.glob("*.json"):
        manifest.unlink()
    assert content(load(folder)) == expected


def test_names_of_shards_do_not_meet(folder):
    for file in (folder / "trays_patches/shards").iterdir():
        digits = file.name.rpartition("-")[2].partition(".")[0]
        assert len(digits) == 32


@pytest.mark.parametrize("kind", ["link", "folder", "link inside", "pipe"])
def test_a_shard_that_is_no_plain_file_is_refused(folder, kind):
    path = manifest_of(folder)
    expected = content(kp.PatchingSequence(path, shuffle=False))
    file = next(path.parent.glob("shards/a-*.whole_images.npy"))
    if kind == "link":
        shutil.move(file, folder / "outside.npy")
        file.symlink_to(folder / "outside.npy")
    elif kind == "link inside":
        file.rename(file.with_name("inside.npy"))
        file.symlink_to("inside.npy")
    else:
        file.unlink()
        file.mkdir() if kind == "folder" else os.mkfifo(file)
    problem = rf"{file.name}: is (a link|not a file)"
    with pytest.raises(ValueError, match=problem):
        kp.PatchingSequence(path)
    if kind == "folder":
        with pytest.raises(ValueError, match=f"cannot write {file.name}"):
            load(folder)
        file.rmdir()
    assert content(load(folder)) == expected
    assert not file.is_symlink()


def test_shards_in_a_linked_folder_are_neither_read_nor_removed(folder):
    path = manifest_of(folder)
    shards, elsewhere = path.parent / "shards", folder / "elsewhere"
    shards.rename(elsewhere)
    shards.symlink_to(elsewhere)
    orphan = elsewhere / f"x-{'0' * 32}.images.npy"
    orphan.write_text("of a cache that is elsewhere")
    for use in (
        lambda: kp.PatchingSequence(path),
        lambda: load(folder),
        lambda: clean(path.parent, min_age=0),
    ):
        with pytest.raises(ValueError, match="is a link") as error:
            use()
        assert f"link all of {path.parent}" in str(error.value)
    assert orphan.exists()
    # As the message says.
    shards.unlink()
    elsewhere.rename(shards)
    path.parent.rename(folder / "disk")
    path.parent.symlink_to(folder / "disk")
    assert content(load(folder))
    assert content(kp.PatchingSequence(path))


def test_a_header_that_disagrees_with_the_manifest_is_refused(folder):
    path = manifest_of(folder)
    expected = content(kp.PatchingSequence(path, shuffle=False))
    file = next(path.parent.glob("shards/a-*.boxes.npy"))
    status, data = file.stat(), file.read_bytes()
    file.write_bytes(data.replace(b"<f4", b"<i4"))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(ValueError, match=r"is not an array of .* float32"):
        kp.PatchingSequence(path)
    assert content(load(folder)) == expected


def test_a_shard_that_is_truncated_while_it_is_read_is_told(folder):
    for store in ("images", "patches"):
        sequence = load(folder, store, batch_size=4)
        sequence[0]
        for file in (folder / "trays_patches/shards").glob("*.npy"):
            os.truncate(file, 100)
        with pytest.raises(ValueError, match="was truncated while it was in"):
            list(sequence)
        # As the message says.
        assert content(load(folder, store, batch_size=4))


def test_reading_a_copied_folder_writes_no_manifest(folder):
    """A slow reader would write the one that it read over a newer one."""
    path = manifest_of(folder)
    for file in (folder / "trays_patches/shards").iterdir():
        os.utime(file)
    before = path.stat()
    load_cache(path)
    after = path.stat()
    assert after.st_ino == before.st_ino
    assert after.st_mtime_ns == before.st_mtime_ns
    sources = read_manifest(path).sources
    for record in sources[0].shards.values():
        file = path.parent / "shards" / record.file
        assert file.stat().st_mtime_ns == record.mtime_ns


def test_a_cache_of_an_older_version_is_told_and_made_anew(folder):
    path = manifest_of(folder)
    expected = content(kp.PatchingSequence(path, shuffle=False))
    manifest_of(folder, "patches").unlink()
    old = path.with_name("detection-16x16-0123456789ab.json")
    fields = json.loads(path.read_text())
    del fields["sha256"], fields["readers"]
    old.write_text(json.dumps({**fields, "version": 1}))
    path.unlink()
    shutil.rmtree(path.parent / "shards")
    for where in (old, path.parent):
        with pytest.raises(ValueError, match="another version") as error:
            kp.PatchingSequence(where)
        assert "Call the loader" in str(error.value)
    assert content(load(folder)) == expected
    alone = kp.PatchingSequence(path.parent, shuffle=False)
    assert content(alone) == expected
    with pytest.raises(ValueError, match="remove this file and clean again"):
        clean(path.parent, min_age=0)
    old.unlink()
    left = path.parent / "shards" / "a-01234567.box_labels.npy"
    left.write_text("of the older version")
    assert clean(path.parent, min_age=0).paths == [left]
    assert content(load(folder)) == expected


def test_patches_of_other_readers_of_images_are_not_used(folder, monkeypatch):
    path = manifest_of(folder)
    expected = content(kp.PatchingSequence(path, shuffle=False))
    before = {p.name for p in path.parent.glob("shards/*")}
    for module in (manifests, shard_builder):
        monkeypatch.setattr(module, "READER_VERSION", 99)
    with pytest.raises(ValueError, match="another version"):
        kp.PatchingSequence(path)
    assert content(load(folder)) == expected
    assert content(kp.PatchingSequence(path, shuffle=False)) == expected
    new = {p.name for p in path.parent.glob("shards/*")} - before
    assert {name.rpartition("-")[0] for name in new} == {"a", "b"}
    assert all(".whole_images." in name for name in new)
