"""Images are cut and predicted by workers of a cluster, as without one."""

import concurrent.futures
import contextlib
import dataclasses
import functools
import logging
import os
import re
import shutil
import signal
import sys
import threading
import time

import keras
import numpy as np
import pytest
from cluster_jobs import kill_always, kill_once

import keras_patching
from keras_patching import cli
from keras_patching.data.cache.patch_cache import PatchCache
from keras_patching.data.cache.shard_builder import plan_source
from keras_patching.data.images.image_io import write_image
from keras_patching.data.images.listing import list_images
from keras_patching.data.patches.stores import plan_image_shard
from keras_patching.data.pixel_options import PixelOptions
from keras_patching.geometry import PatchGrid
from keras_patching.inference.file_prediction import predict_files
from keras_patching.models.segmentation.loaders import (
    load_dataset_from_directory_with_segmentation_masks as load,
)

distributed = pytest.importorskip("distributed")
NUM_IMAGES = 12


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of its own."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        # None is port 8787, which another cluster may have.
        scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
        worker_dashboard_address=None,
        host="127.0.0.1",
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def client(cluster):
    with distributed.Client(cluster, set_as_default=False) as client:
        yield client


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """A folder of images, and one of their masks."""
    folder = tmp_path_factory.mktemp("field")
    rng = np.random.default_rng(0)
    for name, shape, most in (
        ("images", (12, 20, 3), 256),
        ("masks", (12, 20), 2),
    ):
        (folder / name).mkdir()
        for index in range(NUM_IMAGES):
            array = rng.integers(0, most, shape, dtype=np.uint8)
            write_image(folder / name / f"{index:02}.png", array)
    return folder


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def contents(folder):
    """The bytes of all files, but not the times in JSON."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".json":
                data = re.sub(rb'"\w+_ns":\d+', b"", data)
                # Of all before, times included.
                data = re.sub(rb',"sha256":"\w+"}$', b"", data)
            found[path.relative_to(folder).as_posix()] = data
    return found


def cut(field, cache_dir, executor=None):
    load(
        field / "images",
        field / "masks",
        8,
        cache_dir=cache_dir,
        executor=executor,
        verbose=False,
    )
    return contents(cache_dir)


def test_every_executor_cuts_the_same(field, client, tmp_path):
    expected = cut(field, tmp_path / "none")
    assert len(expected) == 2 * NUM_IMAGES + 1
    for number in 1, 3:
        with concurrent.futures.ThreadPoolExecutor(number) as executor:
            assert cut(field, tmp_path / f"{number}", executor) == expected
    assert cut(field, tmp_path / "dask", client.get_executor()) == expected
    # Not what was done before, if it is gone.
    shutil.rmtree(tmp_path / "dask")
    assert cut(field, tmp_path / "dask", client.get_executor()) == expected


def test_the_patch_command_takes_a_scheduler(
    field, cluster, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(field)  # Workers are somewhere else.
    command = "patch", "images", "masks", "--patch-size", "8"
    address = cluster.scheduler_address
    for folder, more in ("a", []), ("b", ["--dask", address]):
        assert run(*command, "--cache-dir", tmp_path / folder, *more) == 0
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert f"patches of {NUM_IMAGES} images" in capsys.readouterr().out


def plan(field, make, cache_dir, first=0, last=0):
    """Plan a cache some of whose images are made by another function."""
    cache = PatchCache(field / "images", "toy", (8, 8), {}, cache_dir=cache_dir)
    sources = []
    for path in list_images(field / "images").values():
        header = cache.header(path)
        grid = PatchGrid(header.size, (8, 8))
        pixels = PixelOptions((8, 8), 3, [0, 255])
        images = plan_image_shard(path, header, grid, pixels)
        if first <= len(sources) <= last and make is not None:
            images = dataclasses.replace(
                images, make=functools.partial(make, images.make)
            )
        origins = [list(origin) for origin in grid.origins]
        stages = ["tile"] * len(origins)
        sources.append(plan_source(path.name, [images], origins, stages))
    return cache, sources


@contextlib.contextmanager
def interrupted_when(condition, felt):
    """Press Ctrl-C in the block when a condition holds, and set an event."""

    def press():
        while not condition():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    def feel(*_):
        felt.set()
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGINT, feel)
    threading.Thread(target=press, daemon=True).start()
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


class Interrupted(concurrent.futures.Executor):
    """Takes five jobs; Ctrl-C is pressed when two of them are done."""

    def __init__(self, executor):
        self.executor, self.sent = executor, []

    def submit(self, function, job):
        if len(self.sent) == 5:
            concurrent.futures.wait(self.sent[:2])
            raise KeyboardInterrupt
        self.sent.append(self.executor.submit(function, job))
        return self.sent[-1]


def make_after(event, make, data):
    """Make a shard when something has happened."""
    event.wait()
    return make(data)


def check_interrupted(error, field, tmp_path, executor=None):
    """Look at what Ctrl-C left of a cache, and go on."""
    (note,) = error.__notes__
    done = re.fullmatch(
        "Run the same command again to go on: (\\d+) of 12 images are done.",
        note,
    )
    assert 1 <= int(done[1]) <= 11
    # A worker may still be at it.
    cache, sources = plan(field, None, tmp_path / "b")
    cache.build(sources, executor=executor, verbose=False)
    cache, sources = plan(field, None, tmp_path / "a")
    cache.build(sources, verbose=False)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_ctrl_c_leaves_a_cache_that_threads_go_on_with(field, tmp_path):
    def has_begun():
        # More than there are threads: one of them has gone on to its next.
        return len([*(tmp_path / "b").rglob("[!.]*.npy")]) >= 5

    felt = threading.Event()
    # Ctrl-C waits for what they have begun, and that for Ctrl-C.
    late = functools.partial(make_after, felt)
    cache, sources = plan(field, late, tmp_path / "b", 5, NUM_IMAGES)
    with (
        interrupted_when(has_begun, felt),
        pytest.raises(KeyboardInterrupt) as caught,
    ):
        cache.build(sources, verbose=False)
    check_interrupted(caught.value, field, tmp_path)


def test_ctrl_c_leaves_a_cache_that_workers_go_on_with(field, client, tmp_path):
    cache, sources = plan(field, None, tmp_path / "b")
    executor = client.get_executor(pure=False)
    with pytest.raises(KeyboardInterrupt) as caught:
        cache.build(sources, executor=Interrupted(executor), verbose=False)
    check_interrupted(caught.value, field, tmp_path, executor)


def test_what_is_sent_is_small(field, client, tmp_path):
    sent = []

    class Executor(concurrent.futures.Executor):
        def submit(self, function, job):
            from distributed.protocol.pickle import dumps

            sent.append(len(dumps((function, job))))
            return client.get_executor().submit(function, job)

    cut(field, tmp_path, Executor())
    assert len(sent) == NUM_IMAGES
    assert max(sent) < 5000


def test_a_client_is_told_how_to_be_an_executor(field, client, model, tmp_path):
    folders = field / "images", field / "masks"
    with pytest.raises(ValueError, match=r"`client.get_executor\(\)`"):
        load(*folders, 8, executor=client, cache_dir=tmp_path / "cache")
    loaded = keras_patching.inference.load_model(model)
    with pytest.raises(ValueError, match=r"`client.get_executor\(\)`"):
        predict_files(loaded, folders[0], tmp_path / "out", executor=client)
    assert not any(tmp_path.iterdir())


def test_no_scheduler_and_no_distributed_are_told(capsys, monkeypatch):
    from keras_patching.commands import dask_workers

    monkeypatch.setattr(dask_workers, "_PATIENCE", 0.2)
    command = "patch", "images", "masks", "--patch-size", "8", "--dask"
    assert run(*command, "tcp://127.0.0.1:1") == 1
    assert "no scheduler of dask answers" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert run(*command, "tcp://127.0.0.1:1") == 1
    assert "keras-patching[distributed]" in capsys.readouterr().err


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model that finds what is redder than 100."""
    patch_model = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    kernel = np.zeros((1, 1, 3, 2))
    kernel[0, 0, 0, 1] = 1
    patch_model.layers[0].set_weights([kernel, np.array([100.5, 0])])
    model = keras_patching.SemanticSegmentationModel(
        2, patch_model, patch_size=8, patch_batch_size=4
    )
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


def predictions(out):
    """The bytes of all files; of the table, all but the seconds."""
    found = contents(out)
    table = found["results.csv"].splitlines()
    found["results.csv"] = [line.rpartition(b",")[0] for line in table]
    return found


@pytest.fixture(scope="module")
def expected(field, model, tmp_path_factory):
    """What is predicted without workers."""
    out = tmp_path_factory.mktemp("expected") / "out"
    assert run("predict", model, field / "images", "--out", out) == 0
    return predictions(out)


def test_the_predict_command_takes_a_scheduler(
    field, cluster, model, expected, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(field)
    out = tmp_path / "out"
    dask = "--out", out, "--dask", cluster.scheduler_address
    assert run("predict", model, "images", *dask) == 0
    assert predictions(out) == expected
    assert f"Predicted {NUM_IMAGES} of {NUM_IMAGES}" in capsys.readouterr().out


def test_an_image_that_fails_goes_on_as_without_workers(
    field, cluster, model, expected, tmp_path, capsys
):
    shutil.copytree(field / "images", tmp_path / "images")
    good = (tmp_path / "images" / "05.png").read_bytes()
    (tmp_path / "images" / "05.png").write_bytes(b"no image")
    out = tmp_path / "out"
    dask = "--out", out, "--dask", cluster.scheduler_address
    assert run("predict", model, tmp_path / "images", *dask) == 1
    assert "05.png: " in capsys.readouterr().err
    (tmp_path / "images" / "05.png").write_bytes(good)
    # With workers and without: they go on from each other.
    assert run("predict", model, tmp_path / "images", "--out", out) == 0
    said = capsys.readouterr().out
    assert f"{NUM_IMAGES - 1} of {NUM_IMAGES} images were predicted" in said
    assert predictions(out) == expected


def test_ctrl_c_leaves_predictions_that_go_on(
    field, client, model, expected, tmp_path
):
    loaded = keras_patching.inference.load_model(model)
    asked = loaded, field / "images", tmp_path
    with pytest.raises(KeyboardInterrupt) as caught:
        predict_files(*asked, executor=Interrupted(client.get_executor()))
    (note,) = caught.value.__notes__
    assert re.search(r"\b[0-9]+ of 12 images are done", note)
    done = predict_files(*asked, executor=client.get_executor())
    assert done.num_before >= 2
    assert predictions(tmp_path) == expected


# Last, since a worker takes seconds to start again.


def test_a_worker_that_is_killed_costs_no_prediction(
    field, client, model, expected, tmp_path
):
    victim, _ = client.run(os.getpid).values()
    sent = []

    class Executor(concurrent.futures.Executor):
        """Kills a worker that has jobs, when the first of them are done."""

        def submit(self, function, job):
            sent.append(client.get_executor().submit(function, job))
            if len(sent) == NUM_IMAGES // 2:
                while not [*(tmp_path / "masks").glob("[0-9]*.png")]:
                    time.sleep(0.002)
                os.kill(victim, signal.SIGKILL)
            return sent[-1]

    loaded = keras_patching.inference.load_model(model)
    predict_files(
        loaded, field / "images", tmp_path, executor=Executor(), verbose=False
    )
    assert len(sent) == NUM_IMAGES
    # A file that it was writing is removed when it is an hour old.
    for path in tmp_path.rglob(f".{victim}-*.tmp.png"):
        path.unlink()
    assert predictions(tmp_path) == expected


def test_a_worker_that_is_killed_costs_nothing(field, client, tmp_path):
    client.wait_for_workers(2, timeout=60)
    cache, sources = plan(field, None, tmp_path / "a")
    cache.build(sources, verbose=False)
    flag = tmp_path / "killed"
    make = functools.partial(kill_once, flag)
    cache, sources = plan(field, make, tmp_path / "b")
    cache.build(sources, executor=client.get_executor(), verbose=False)
    assert flag.exists()
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_workers_that_are_killed_again_and_again_are_told(
    field, cluster, client, tmp_path
):
    client.wait_for_workers(2, timeout=60)
    cache, sources = plan(field, kill_always, tmp_path)
    before = cluster.scheduler.allowed_failures
    cluster.scheduler.allowed_failures = 0
    with pytest.raises(ValueError, match="lack of memory") as caught:
        cache.build(sources, executor=client.get_executor(), verbose=False)
    cluster.scheduler.allowed_failures = before
    assert "KilledWorker" in str(caught.value)
    assert "00.png" in str(caught.value)
