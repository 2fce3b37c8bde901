"""The cache, with tiles of images and, for labels, numbers without files."""

import concurrent.futures
import dataclasses
import functools
import json
import multiprocessing
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from keras_patching.data.cache import shard_builder
from keras_patching.data.cache.cleaning import clean
from keras_patching.data.cache.manifest import VERSION, read_manifest
from keras_patching.data.cache.opening import load_cache
from keras_patching.data.cache.patch_cache import PatchCache, patch_folder
from keras_patching.data.cache.shard_builder import ShardPlan
from keras_patching.data.cache.shard_kinds import SHARD_KINDS, ShardKind
from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.data.images.listing import list_images
from keras_patching.data.patches.stores import plan_image_shard
from keras_patching.data.pixel_options import PixelOptions
from keras_patching.geometry import PatchGrid

PATCH = (8, 8)
# Seconds after which a process hangs, also on a machine that is busy.
PATIENCE = 600
# Here and not in a fixture, since other processes import this module.
SHARD_KINDS["numbers"] = ShardKind((None,))


def build(dirname, patch=PATCH, sigma=1.0, slow=0.0, cache_dir=None, **options):
    cache, sources = plan(dirname, patch, sigma, slow, cache_dir)
    return cache.build(sources, **{"verbose": False, **options})


def plan(dirname, patch=PATCH, sigma=1.0, slow=0.0, cache_dir=None):
    cache = PatchCache(
        dirname, "toy", patch, {"sigma": sigma}, cache_dir=cache_dir
    )
    sources = [
        plan_source(path, cache, patch, sigma, slow)
        for path in list_images(dirname).values()
    ]
    return cache, sources


def plan_source(path, cache, patch, sigma, slow):
    header = cache.header(path)
    grid = PatchGrid(header.size, patch)
    images = plan_image_shard(
        path, header, grid, PixelOptions(patch, 3, [0, 255])
    )
    if slow:
        make = functools.partial(make_slowly, make=images.make, seconds=slow)
        images = ShardPlan(**{**vars(images), "make": make})
    shape = (grid.num_patches, 2)
    labels = ShardPlan(
        kind="numbers",
        shape=shape,
        dtype=np.dtype("float32"),
        parameters=[sigma, shape],
        make=functools.partial(np.full, shape, sigma, "float32"),
        facts=sum_patches,
    )
    origins = [list(origin) for origin in grid.origins]
    stages = ["tile"] * grid.num_patches
    plans = images, labels
    return shard_builder.plan_source(path.name, plans, origins, stages)


def make_slowly(data, make, seconds):
    time.sleep(seconds)
    return make(data)


def make_after(data, make, action):
    """Make a shard after something else has happened."""
    action()
    return make(data)


def with_images_made_after(source, action):
    """Let something happen before the image shard of a source is made."""
    images = source.shards["images"]
    make = functools.partial(make_after, make=images.make, action=action)
    images = dataclasses.replace(images, make=make)
    shards = {**source.shards, "images": images}
    return dataclasses.replace(source, shards=shards)


def sum_patches(array):
    return {"sum": array.sum(axis=1).tolist()}


@pytest.fixture
def images(tmp_path):
    """Six images of 12 x 20 pixels: 2 x 3 patches each."""
    dirname = tmp_path / "images"
    dirname.mkdir()
    for index in range(6):
        write(dirname / f"{index}.png", index)
    return dirname


def write(path, seed, size=(12, 20)):
    rng = np.random.default_rng(seed)
    write_image(path, rng.integers(0, 256, (*size, 3), dtype=np.uint8))


def shards_of(dirname):
    folder = patch_folder(dirname) / "shards"
    return {p.name: p.stat().st_mtime_ns for p in folder.glob("*.npy")}


def leftovers(folder):
    return list(folder.rglob("*.tmp"))


def read_shard(manifest_path, source, kind):
    manifest = read_manifest(manifest_path)
    record = {s.name: s for s in manifest.sources}[source].shards[kind]
    return np.load(manifest_path.parent / "shards" / record.file)


def test_the_shards_hold_the_padded_tiles_of_each_image(images):
    path = build(images)
    assert path.parent == images.parent / "images_patches"
    for name in ("0.png", "5.png"):
        padded = np.zeros((16, 24, 3), np.uint8)
        padded[:12, :20] = read_image(images / name)
        expected = [
            padded[y : y + 8, x : x + 8]
            for y in range(0, 16, 8)
            for x in range(0, 24, 8)
        ]
        np.testing.assert_array_equal(
            read_shard(path, name, "images"), expected
        )


def test_the_manifest_records_origins_stages_and_facts(images):
    manifest = read_manifest(build(images, sigma=2.0))
    source = manifest.sources[0]
    assert source.origins[:4] == [[0, 0], [0, 8], [0, 16], [8, 0]]
    assert source.stages == ["tile"] * 6
    assert source.shards["numbers"].facts == {"sum": [4.0] * 6}
    assert manifest.num_patches == 36
    assert str(images.parent) not in json.dumps(manifest.parameters)


def test_a_second_build_finds_the_patches_and_writes_nothing(images, capsys):
    path = build(images)
    before = shards_of(images)
    assert build(images, verbose=True) == path
    out = capsys.readouterr().out
    assert f"Found 36 cached patches of 6 images in {path.parent}" in out
    assert shards_of(images) == before


def test_the_expected_bytes_are_printed_before_anything_is_cut(images, capsys):
    path = build(images, verbose=True)
    expected = sum(p.stat().st_size for p in path.parent.rglob("*.npy"))
    out = capsys.readouterr().out
    assert f"({expected / 1000:.3g} kB more on disk)" in out
    assert "Cut 36 patches of 6 images" in out


@pytest.mark.usefixtures("aged")
def test_trusted_sources_are_not_read(images):
    build(images)
    path = build(images)
    before = path.read_bytes()
    for image in images.iterdir():
        image.chmod(0o644)  # a new ctime: they are read again
    build(images)
    assert path.read_bytes() != before
    before = path.read_bytes()
    build(images)
    assert path.read_bytes() == before


def test_a_touched_image_rebuilds_nothing(images):
    build(images)
    before = shards_of(images)
    os.utime(images / "0.png")
    build(images)
    assert shards_of(images) == before


def test_a_changed_image_rebuilds_one_shard(images):
    path = build(images)
    before = shards_of(images)
    write(images / "3.png", seed=99)
    build(images)
    after = shards_of(images)
    assert before.items() <= after.items()
    (new,) = after.keys() - before.keys()
    assert new.startswith("3-")
    assert new.endswith(".images.npy")
    np.testing.assert_array_equal(
        read_shard(path, "3.png", "images")[0],
        read_image(images / "3.png")[:8, :8],
    )


@pytest.mark.usefixtures("aged")
def test_a_change_that_keeps_size_and_mtime_is_noticed(images):
    image = images / "0.npy"
    (images / "0.png").unlink()
    write(image, seed=0)
    stat = image.stat()
    path = build(images)
    write(image, seed=1)
    os.utime(image, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert image.stat().st_size == stat.st_size
    build(images)
    np.testing.assert_array_equal(
        read_shard(path, "0.npy", "images")[0], read_image(image)[:8, :8]
    )


@pytest.mark.parametrize("size", [(12, 20), (20, 12), (24, 40)])
def test_an_image_that_is_replaced_during_a_build(images, size):
    """As `rsync -t` and `mv` do: between the look at it and its reading."""
    cache, sources = plan(images)
    write(images / "3.png", seed=99, size=size)
    if size == (12, 20):  # it is the new image that was cut
        path = cache.build(sources, verbose=False)
    else:
        with pytest.raises(ValueError, match=r"3\.png: was changed") as error:
            cache.build(sources, verbose=False)
        assert "Run again" in str(error.value)
        path = build(images)
    np.testing.assert_array_equal(
        read_shard(path, "3.png", "images")[0],
        read_image(images / "3.png")[:8, :8],
    )
    assert load_cache(path)[1].files["3.png"].header[:2] == size


def test_an_image_that_is_replaced_after_it_was_read(images):
    """It may have been read while half of it was written."""
    image = images / "a.npy"
    np.save(image, np.zeros((12, 20, 3), "uint8"))
    before = image.stat()

    def replace():
        np.save(image, np.ones((12, 20, 3), "uint8"))
        os.utime(image, ns=(before.st_atime_ns, before.st_mtime_ns))

    cache, sources = plan(images)
    (index,) = [i for i, each in enumerate(sources) if each.name == "a.npy"]
    sources[index] = with_images_made_after(sources[index], replace)
    with pytest.raises(ValueError, match=r"a\.npy: was changed"):
        cache.build(sources, verbose=False)
    assert cache.built is None
    assert (read_shard(build(images), "a.npy", "images")[0] == 1).all()


def test_a_builder_that_is_late_keeps_what_another_added(images):
    build(images)
    os.utime(images / "0.png")
    late, sources = plan(images)  # it is to look at one image again
    write(images / "new.png", seed=7)
    path = build(images)
    late.build(sources, verbose=False)
    assert len(late.built.manifest.sources) == 6
    assert len(load_cache(path)[1].sources) == 7


def test_what_was_built_is_given_whatever_another_builder_writes(images):
    """Two builders with one name of labels, whose content has changed."""
    (cache, sources), (other, changed) = plan(images), plan(images)
    values = np.full((6, 2), 9, "float32")
    for source in changed:
        numbers = source.shards["numbers"]
        source.shards["numbers"] = dataclasses.replace(
            numbers, parameters=9, make=values.copy
        )
    path = cache.build(sources, verbose=False)
    assert other.build(changed, verbose=False) == path
    for each, expected in ((cache, 1), (other, 9)):
        _, manifest = load_cache(each.built)
        record = manifest.sources[0].shards["numbers"]
        found = np.load(path.parent / "shards" / record.file)
        assert (found == expected).all()
    assert load_cache(path)[1] == other.built.manifest


def test_added_and_removed_images_change_the_manifest_only_for_them(images):
    path = build(images)
    before = shards_of(images)
    (images / "0.png").unlink()
    write(images / "new.png", seed=7)
    build(images)
    names = [source.name for source in read_manifest(path).sources]
    assert names == ["1.png", "2.png", "3.png", "4.png", "5.png", "new.png"]
    assert before.items() <= shards_of(images).items()
    assert len(shards_of(images)) == len(before) + 2


@pytest.mark.usefixtures("aged")
def test_new_label_parameters_do_not_write_images_again(images):
    first = build(images)
    before = shards_of(images)
    second = build(images, sigma=3.0)
    assert second != first
    new = shards_of(images).keys() - before.keys()
    assert len(new) == 6
    assert all(name.endswith(".numbers.npy") for name in new)
    assert before.items() <= shards_of(images).items()
    assert load_cache(first)
    assert (read_shard(second, "0.png", "numbers") == 3).all()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


def halve(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def edit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(1, 1))


@pytest.mark.parametrize("damage", [truncate, edit, pathlib.Path.unlink])
def test_a_bad_shard_is_noticed_named_and_rebuilt(images, damage):
    path = build(images)
    before = shards_of(images)
    shard = path.parent / "shards" / sorted(before)[0]
    content = shard.read_bytes()
    damage(shard)
    with pytest.raises(ValueError, match=shard.name):
        load_cache(path)
    build(images)
    assert shard.read_bytes() == content
    assert load_cache(path)
    del before[shard.name]
    assert before.items() <= shards_of(images).items()


def test_a_copied_folder_loads_alone_and_is_hashed_once(images, tmp_path):
    path = build(images)
    copy = tmp_path / "elsewhere"
    shutil.copytree(path.parent, copy, copy_function=shutil.copyfile)
    shutil.rmtree(images)
    copied_path, copied = load_cache(copy)
    assert copied.num_patches == 36
    assert copied_path.read_bytes() == path.read_bytes()
    # The times that the manifest knows are what spares the second look.
    times = {p.name: p.stat().st_mtime_ns for p in copy.glob("shards/*")}
    assert times == {s.file: s.mtime_ns for s in copied.shards}


def test_a_copied_folder_is_hashed_once_on_windows_too(
    images, tmp_path, monkeypatch
):
    path = build(images)
    copy = tmp_path / "elsewhere"
    shutil.copytree(path.parent, copy, copy_function=shutil.copyfile)
    monkeypatch.setattr(os, "supports_fd", set())
    _, copied = load_cache(copy)
    times = {p.name: p.stat().st_mtime_ns for p in copy.glob("shards/*")}
    assert times == {s.file: s.mtime_ns for s in copied.shards}


def test_labels_may_be_on_another_drive_than_the_images(
    images, tmp_path, monkeypatch
):
    labels = tmp_path / "labels.csv"
    of_one_drive = os.path.relpath

    def relpath(path, start):
        if path == str(labels):
            raise ValueError("path is on mount 'D:', start on mount 'C:'")
        return of_one_drive(path, start)

    _, sources = plan(images)
    monkeypatch.setattr(os.path, "relpath", relpath)
    cache = PatchCache(images, "toy", PATCH, {}, label_path=labels)
    manifest = load_cache(cache.build(sources, verbose=False))[1]
    assert manifest.label_path == labels.as_posix()


def lose_key(text):
    content = json.loads(text)
    del content["files"]
    return json.dumps(content)


def lose_shard_key(text):
    content = json.loads(text)
    del content["sources"][0]["shards"]["images"]["checksum"]
    return json.dumps(content)


def climb(text):
    content = json.loads(text)
    content["sources"][0]["shards"]["images"]["file"] = "../../secret.npy"
    return json.dumps(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-10],
        lambda text: "[]",
        lambda text: "{}",
        lambda text: text.replace(f'"version":{VERSION}', '"version":99'),
        lambda text: text.replace("keras_patching.", "other."),
        lambda text: text.replace('"origins":[[0,0],', '"origins":[', 1),
        lose_key,
        lose_shard_key,
        climb,
    ],
)
def test_a_bad_manifest_is_refused_alone_and_rebuilt(images, damage):
    path = build(images)
    good = read_manifest(path)
    before = shards_of(images)
    path.write_text(damage(path.read_text()))
    with pytest.raises(ValueError, match="not a manifest") as error:
        load_cache(path.parent)
    assert str(path) in str(error.value)
    assert "Call the loader" in str(error.value)
    build(images)
    rebuilt = read_manifest(path)
    assert [s.name for s in rebuilt.sources] == [s.name for s in good.sources]
    assert shards_of(images).keys() == before.keys()
    for a, b in zip(good.sources, rebuilt.sources, strict=True):
        assert a.shards["numbers"].facts == b.shards["numbers"].facts


def test_overwrite_writes_everything_again(images):
    path = build(images)
    before = shards_of(images)
    build(images, overwrite=True)
    after = shards_of(images)
    assert after.keys() == before.keys()
    assert all(after[name] > before[name] for name in before)
    assert load_cache(path)


def test_overwrite_keeps_the_old_manifest_until_the_new_is_complete(images):
    path = build(images)
    before = path.read_bytes()
    halve(images / "0.png")
    with pytest.raises(ValueError, match=r"0\.png"):
        build(images, overwrite=True)
    assert path.read_bytes() == before
    assert load_cache(path)


def test_undecodable_files_are_told_together_and_others_are_kept(images):
    halve(images / "1.png")
    halve(images / "4.png")
    with pytest.raises(ValueError, match="cannot be used") as error:
        build(images)
    assert str(images / "1.png") in str(error.value)
    assert str(images / "4.png") in str(error.value)
    assert "3.png" not in str(error.value)
    folder = patch_folder(images)
    assert not list(folder.glob("*.json"))
    assert not leftovers(folder)
    before = shards_of(images)
    write(images / "1.png", seed=1)
    write(images / "4.png", seed=4)
    build(images)
    kept = {n: t for n, t in shards_of(images).items() if n in before}
    assert kept.keys() == before.keys()


def out_of_memory():
    raise MemoryError


def test_an_image_that_needs_too_much_memory_is_named(images):
    cache, sources = plan(images)
    sources[2] = with_images_made_after(sources[2], out_of_memory)
    with pytest.raises(ValueError, match=r"2\.png: needs more memory") as error:
        cache.build(sources, verbose=False)
    assert "fewer workers" in str(error.value)
    assert len(shards_of(images)) == 11


def test_workers_that_were_killed_are_told(images):
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(1, context) as executor:
        os.kill(executor.submit(os.getpid).result(), signal.SIGKILL)
        with pytest.raises(ValueError, match="lack of memory") as error:
            build(images, executor=executor)
    assert "6 of 6 images are not done, the next are 0.png" in str(error.value)
    # As the message says.
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        assert build(images, executor=executor)


def test_many_faults_are_counted(images):
    for index in range(25):
        write(images / f"x{index}.png", index)
        halve(images / f"x{index}.png")
    with pytest.raises(ValueError, match="and 5 more"):
        build(images)


def test_a_disk_without_the_space_is_refused_before_writing(images):
    with pytest.raises(ValueError, match="the disk has"):
        build(images, patch=(10**6, 10**6))
    assert not patch_folder(images).exists()


def test_a_folder_that_cannot_be_made_is_named(images):
    folder = patch_folder(images)
    folder.write_text("a file")
    with pytest.raises(ValueError, match="cannot write") as error:
        build(images)
    assert str(folder) in str(error.value)
    assert "cache_dir" in str(error.value)
    assert folder.read_text() == "a file"


def test_caches_below_a_cache_dir_are_kept_apart(images, tmp_path):
    other = tmp_path / "more" / "images"
    shutil.copytree(images, other)
    paths = [build(d, cache_dir=tmp_path / "cache") for d in (images, other)]
    assert paths[0].parent != paths[1].parent
    assert all(p.parent.name.startswith("images-") for p in paths)
    assert all(p.parent.name.endswith("_patches") for p in paths)
    assert not patch_folder(images).exists()


def test_long_and_strange_names_are_cached(images):
    for name in ("ä" * 120, "a b-c.d", "x" * 250):
        write(images / f"{name}.png", seed=1)
    path = build(images)
    assert len(read_manifest(path).sources) == 9
    assert load_cache(path)


def test_any_executor_builds_the_same(images, monkeypatch):
    path = build(images)
    expected = {p.name: p.read_bytes() for p in path.parent.rglob("*.npy")}
    shutil.rmtree(path.parent)
    # A spawned process imports this module by the name that pytest gave it.
    root = pathlib.Path(__file__).parents[__name__.count(".")]
    monkeypatch.setattr(sys, "path", [str(root), *sys.path])
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, context) as executor:
        build(images, executor=executor)
    found = {p.name: p.read_bytes() for p in path.parent.rglob("*.npy")}
    assert found == expected


def start(code):
    here = str(pathlib.Path(__file__).parent)
    script = (
        f"import sys; sys.path.insert(0, {here!r})\n"
        f"from test_patch_cache import *\n{code}"
    )
    return subprocess.Popen(
        [sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def wait_for(condition, process):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_two_processes_build_the_same_cache_at_once(images):
    code = f"build(pathlib.Path({str(images)!r}), slow=0.05)"
    builders = [start(code), start(code)]
    for builder in builders:
        out, _ = builder.communicate(timeout=PATIENCE)
        assert builder.returncode == 0, out
    path = build(images)
    assert load_cache(path)
    assert len(shards_of(images)) == 12
    assert not leftovers(path.parent)


def test_a_killed_build_is_resumed(images):
    # Its last image is never done, however late it is killed.
    builder = start(
        "import threading\n"
        f"cache, sources = plan(pathlib.Path({str(images)!r}), slow=0.5)\n"
        "never = threading.Event()\n"
        "sources[-1] = with_images_made_after(sources[-1], never.wait)\n"
        "cache.build(sources, verbose=False)"
    )
    wait_for(lambda: shards_of(images), builder)
    builder.send_signal(signal.SIGKILL)
    builder.communicate(timeout=PATIENCE)
    folder = patch_folder(images)
    finished = {
        name: (folder / "shards" / name).stat().st_ino
        for name in shards_of(images)
    }
    assert 0 < len(finished) < 12
    assert not list(folder.glob("*.json"))
    path = build(images)
    assert load_cache(path)
    for name, inode in finished.items():
        assert (folder / "shards" / name).stat().st_ino == inode


def test_a_shard_that_a_crash_left_torn_is_written_again(images):
    path = build(images)
    expected = read_shard(path, "0.png", "images")
    name = next(n for n in shards_of(images) if n.startswith("0-"))
    path.unlink()
    truncate(path.parent / "shards" / name)
    build(images)
    np.testing.assert_array_equal(read_shard(path, "0.png", "images"), expected)


def test_a_full_disk_is_a_clear_error_and_the_old_cache_stays(images):
    path = build(images)
    write(images / "big.png", seed=0, size=(400, 400))
    # Files of more than 100 kB cannot be written, as on a full disk.
    builder = start(
        "import resource\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "try:\n"
        f"    build(pathlib.Path({str(images)!r}))\n"
        "except ValueError as error:\n"
        "    print(error)\n"
    )
    out, _ = builder.communicate(timeout=PATIENCE)
    assert "cannot write big-" in out
    assert str(path.parent) in out
    assert not leftovers(path.parent)
    assert load_cache(path)[1].num_patches == 36
    build(images)
    assert load_cache(path)[1].num_patches == 36 + 2500


def test_clean_removes_only_what_no_manifest_names(images):
    path = build(images)
    named = shards_of(images)
    write(images / "3.png", seed=99)
    build(images)
    (orphan,) = [n for n in named if n.startswith("3-") and "images" in n]
    shards = path.parent / "shards"
    (shards / "notes.txt").write_text("mine")
    (shards / ".1234-0123456789abcdef.tmp").write_text("torn")
    (path.parent / ".1234-0123456789abcdef.tmp").write_text("torn")
    assert clean(path.parent).paths == []  # all young
    size = (shards / orphan).stat().st_size
    cleaned = clean(path.parent, min_age=0)
    assert {p.name for p in cleaned.paths} == {
        orphan,
        ".1234-0123456789abcdef.tmp",
    }
    assert cleaned.bytes == size + 8
    assert (shards / "notes.txt").exists()
    assert load_cache(path)


def make_old(folder):
    for path in [*folder.glob("shards/*"), *folder.glob(".*.tmp.run")]:
        os.utime(path, (10**9, 10**9))


def test_clean_removes_nothing_while_something_young_is_not_named(images):
    path = build(images)
    old = path.parent / "shards" / f"old-{'0' * 32}.images.npy"
    young = path.parent / "shards" / f"young-{'0' * 32}.box_labels.npy"
    for each in (old, young):
        each.write_text("left")
    make_old(path.parent)
    os.utime(young)
    assert clean(path.parent).paths == []
    make_old(path.parent)
    assert clean(path.parent).paths == [old, young]


def test_a_build_makes_again_what_clean_took_for_left(images):
    """As in a first build that takes longer than the age that is young."""
    build(images, sigma=2.0)
    cache, sources = plan(images, patch=(4, 4))
    removed = []

    def clean_up():
        make_old(cache.directory)
        removed.extend(clean(cache.directory).paths)

    sources[-1] = with_images_made_after(sources[-1], clean_up)
    with concurrent.futures.ThreadPoolExecutor(1) as executor:
        path = cache.build(sources, executor=executor, verbose=False)
    # And what told workers that they see the same folder.
    assert sorted(path.suffix for path in removed) == [".npy"] * 10 + [".run"]
    assert load_cache(path)[1] == cache.built.manifest
    for source in sources:
        np.testing.assert_array_equal(
            read_shard(path, source.name, "images")[0],
            read_image(images / source.name)[:4, :4],
        )


def test_clean_leaves_folders_and_follows_no_links(images, tmp_path):
    path = build(images)
    mine = tmp_path / "mine.npy"
    mine.write_text("mine")
    shards = path.parent / "shards"
    (shards / f"link-{'0' * 32}.images.npy").symlink_to(mine)
    (shards / f"folder-{'0' * 32}.images.npy").mkdir()
    (cleaned,) = clean(path.parent, min_age=0).paths
    assert cleaned.name.startswith("link-")
    assert mine.read_text() == "mine"


def test_clean_keeps_shards_of_every_manifest(images):
    build(images, sigma=1.0)
    build(images, sigma=2.0)
    assert clean(patch_folder(images), min_age=0).paths == []


def test_clean_refuses_what_is_not_a_cache(images, tmp_path):
    with pytest.raises(ValueError, match="holds no manifest"):
        clean(images)
    with pytest.raises(FileNotFoundError, match="no such folder"):
        clean(tmp_path / "nowhere")
    lookalike = tmp_path / "toy-8x8-0123456789ab.json"
    lookalike.write_text("{}")
    with pytest.raises(ValueError, match="holds no manifest"):
        clean(tmp_path)


def test_clean_refuses_when_a_manifest_cannot_be_read(images):
    path = build(images)
    path.with_name("toy-8x8-0123456789ab.json").write_text('{"format": ')
    before = shards_of(images)
    with pytest.raises(ValueError, match="Nothing was removed"):
        clean(path.parent, min_age=0)
    assert shards_of(images) == before
