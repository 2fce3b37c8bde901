"""Large images are decoded one at a time, and only where there is memory."""

import concurrent.futures
import threading
import time

import numpy as np
import pytest

from keras_patching.data.images import decoding_memory
from keras_patching.data.images.decoding_memory import room_for
from keras_patching.data.images.headers import ImageHeader


def header(height, width):
    return ImageHeader((height, width), 1, np.dtype("uint8"))


def most_at_once(size):
    inside, most = [], []

    def decode():
        with room_for(header(*size), "a.png"):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.05)
            inside.pop()

    threads = [threading.Thread(target=decode) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return max(most)


def test_large_images_wait_for_each_other(tmp_path, monkeypatch):
    # Whatever other programs take: what Linux says of memory, and no container.
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemAvailable: 4000000 kB\n")
    monkeypatch.setattr(decoding_memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(decoding_memory, "_CONTAINER", tmp_path)
    assert most_at_once((2**14, 2**14)) == 1


def test_small_images_do_not_wait_for_each_other():
    all_inside = threading.Barrier(4, timeout=60)

    def decode(_):
        with room_for(header(2**10, 2**10), "a.png"):
            all_inside.wait()

    with concurrent.futures.ThreadPoolExecutor(4) as threads:
        list(threads.map(decode, range(4)))


def test_an_image_larger_than_the_memory_is_refused_by_name():
    with (
        pytest.raises(ValueError, match=r"a\.png: .* GB are free"),
        room_for(header(2**30, 2**30), "a.png"),
    ):
        pass
