import os
import pathlib
import socket
import subprocess
import sys

import keras
import numpy as np
import pytest
from networks import fill, strided_unet
from predicting_on_devices import images_of

import keras_patching as kp

SUPPORT = pathlib.Path(__file__).parents[1] / "support"

on_jax = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="Devices share on jax."
)


def start(script, *arguments, devices):
    """Start a script in a process that has some devices."""
    flags = f"--xla_force_host_platform_device_count={devices}"
    return subprocess.Popen(
        [sys.executable, SUPPORT / script, *map(str, arguments)],
        env={**os.environ, "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {flags}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@on_jax
@pytest.mark.parametrize("what", ["lanes_and_batches", "rows"])
def test_devices_share(what):
    process = start("predicting_on_devices.py", what, devices=4)
    said, _ = process.communicate()
    assert process.returncode == 0, said


@on_jax
def test_processes_of_one_cluster_share_a_list(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = [
        start("predicting_a_share.py", number, port, tmp_path, devices=2)
        for number in range(2)
    ]
    for process in processes:
        said, _ = process.communicate()
        assert process.returncode == 0, said
    model = kp.PatchedModel(fill(strided_unet()), patch_size=32, overlap="auto")
    expected = list(model.predict_images(images_of(), verbose=False))
    assert len(list(tmp_path.iterdir())) == len(expected)
    for number, each in enumerate(expected):
        found = np.load(tmp_path / f"image_{number}.npy")
        np.testing.assert_allclose(found, each, atol=1e-6)


def test_rows_are_shared_by_devices_that_are_told():
    model = kp.PatchedModel(fill(strided_unet()), patch_size=32)
    with pytest.raises(ValueError, match="set_distribution"):
        model.predict_images(images_of(), split="rows")
    with pytest.raises(ValueError, match="None or 'rows'"):
        model.predict_images(images_of(), split="columns")
