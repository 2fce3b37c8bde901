"""Several devices and processes train one model, each on its share."""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
from numbered_patches import cut_numbered_patches
from training_a_share import COUNT, make_model, train

from keras_patching import PatchingSequence

SCRIPT = pathlib.Path(__file__).parents[1] / "support/training_a_share.py"

on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Devices share on jax."
)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    """Patches with a number in their masks."""
    folder = tmp_path_factory.mktemp("shared")
    return cut_numbered_patches(folder, COUNT)


def train_in(folder, manifest, cases, processes, devices):
    """Train in some processes of some devices each.

    Returns:
        List, for each process, of what came of each case.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = f"--xla_force_host_platform_device_count={devices}"
    flags = f"{os.environ['XLA_FLAGS']} {flags}"
    started = []
    for number in range(processes):
        arguments = folder, number, processes, port, manifest
        command = [sys.executable, SCRIPT, *map(str, arguments)]
        process = subprocess.Popen(
            [*command, json.dumps(cases)],
            env={**os.environ, "XLA_FLAGS": flags},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
    for process in started:
        said, _ = process.communicate()
        assert process.returncode == 0, said
    return [
        json.loads((folder / f"{number}.json").read_text())
        for number in range(processes)
    ]


def assert_trained_as(found, alone):
    """Each patch once an epoch, and the weights of one process."""
    assert found["seen"] == alone["seen"] == [[1] * COUNT] * 2
    assert found["steps"] == alone["steps"] == [4, 4]
    np.testing.assert_allclose(found["losses"], alone["losses"], rtol=1e-5)
    np.testing.assert_allclose(
        found["evaluated"], alone["evaluated"], rtol=1e-5
    )
    for one, other in zip(found["weights"], alone["weights"], strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


@on_jax
def test_devices_of_one_host_train_as_one(manifest, tmp_path):
    cases = [({}, {}), ({"batch_size": 6}, {})]
    ((found, refused),) = train_in(tmp_path, manifest, cases, 1, devices=4)
    assert_trained_as(found, train(manifest))
    assert "multiple of 4" in refused


@on_jax
def test_processes_train_as_one(manifest, tmp_path):
    """The sequence is shared by `fit`, or by who calls it, and never twice."""
    names = [[f"{i}.png" for i in part] for part in ((0, 1, 2, 3), (4, 5, 6))]
    cases = {
        "shared by fit": ({}, {}),
        "shared before": ({"auto": False}, {"shard": [(0, 2), (1, 2)]}),
        "both": ({"auto": True}, {"shard": [(0, 2), (1, 2)]}),
        "predicted": ({"predict": True}, {}),
        "not at all": ({"auto": False}, {}),
        "twice the first": ({"shard": (0, 2)}, {}),
        "other orders": ({}, {"seed": [2**40, 2**40 + 1]}),
        "other epochs": ({}, {"epoch": [0, 1]}),
        "other numbers": ({"auto": False, "batch_size": 4}, {"names": names}),
    }
    each = train_in(tmp_path, manifest, list(cases.values()), 2, devices=2)
    alone = train(manifest)
    for number, results in enumerate(each):
        found = dict(zip(cases, results, strict=True))
        assert "predict_images" in found.pop("predicted")
        for name in ("shared by fit", "shared before", "both"):
            assert_trained_as(found.pop(name), alone)
        own = f"sequence.shard({number}, 2)"
        for name, *words in (
            ("not at all", "same samples", own),
            ("twice the first", "[(0, 2), (0, 2)]", own),
            ("other orders", "twice and others", f"seed={2**40 + number}"),
            ("other epochs", "twice and others never", f"epoch={number}"),
            (
                "other numbers",
                "wait for each other",
                "[[4, 4, 16], [3, 4, 12]]",
            ),
        ):
            assert all(word in found[name] for word in words), found[name]


@on_jax
def test_processes_that_were_interrupted_go_on_together(manifest, tmp_path):
    """Or say what is wrong: they would wait for each other for ever."""

    def backed_up(*names, **options):
        folders = [str(tmp_path / f"{name}{i}") for i, name in enumerate(names)]
        return options, {"backup": folders}

    before = [
        ({}, {}),
        backed_up("late", "late", after=7),  # Saved in the second epoch,
        backed_up("early", "early", after=4),  # and in the first one.
    ]
    (whole, *ends), _ = train_in(tmp_path, manifest, before, 2, devices=1)
    assert ends == ["interrupted", "interrupted"]
    shutil.copytree(tmp_path / "late0", tmp_path / "copied0")
    shutil.copytree(tmp_path / "late0", tmp_path / "copied1")
    other_batches = backed_up("new", "new")
    other_batches[1]["save_freq"] = [3, 5]
    one_alone = {}, {"backup": [str(tmp_path / "new0"), None]}
    after = [
        backed_up("late", "early"),
        backed_up("late", "new"),
        other_batches,
        one_alone,
        backed_up("late", "late"),
        backed_up("copied", "copied"),
    ]
    for results in train_in(tmp_path, manifest, after, 2, devices=1):
        *refused, own, copied = results
        for message, words in zip(
            refused,
            ("=[(1, 1), (0, 2)]", "=[(1, 1), None]", *["same `save_freq`"] * 2),
            strict=True,
        ):
            assert words in message
        for found in own, copied:
            assert found["steps"] == [2]
            for one, other in zip(
                found["weights"], whole["weights"], strict=True
            ):
                np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


class DealsOut(keras.distribution.DataParallel):
    """As Keras 3.16 in two processes: it gives each every second batch."""

    num_data_shards = 2


@on_jax
def test_what_keras_deals_out_is_not_sharded_before(manifest):
    net = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(1, 1)])
    net.compile("sgd", "mse")
    whole = PatchingSequence(manifest, 8, seed=0, drop_remainder=True)
    shard = whole.shard(0, 2)
    with DealsOut(devices=["cpu:0"]).scope():
        with pytest.raises(ValueError, match="each 2th batch only"):
            net.fit(shard, verbose=0)
        with pytest.raises(ValueError, match=r"7 batches.*for ever"):
            net.fit(PatchingSequence(manifest, 4), verbose=0)


@pytest.mark.skipif(
    keras.backend.backend() != "torch", reason="It is a module of torch."
)
def test_shards_train_as_one_with_ddp_of_torch(manifest, tmp_path):
    from training_with_ddp import train as train_alone

    started = [
        subprocess.Popen(
            [
                *(sys.executable, SCRIPT.with_name("training_with_ddp.py")),
                *(str(number), "2", f"file://{tmp_path}/address"),
                *(manifest, tmp_path),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for number in range(2)
    ]
    sequence = PatchingSequence(manifest, 8, seed=0, augment=True)
    weights, seen = train_alone(sequence, make_model().patch_model)
    both = []
    for number, process in enumerate(started):
        said, _ = process.communicate()
        assert process.returncode == 0, said
        with np.load(tmp_path / f"{number}.npz") as found:
            both.extend(found["seen"].tolist())
            for index, each in enumerate(weights):
                np.testing.assert_allclose(
                    found[f"arr_{index}"], each, rtol=0, atol=1e-5
                )
    assert sorted(both) == sorted(seen) == sorted([*range(COUNT)] * 2)
