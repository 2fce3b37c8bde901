"""What a user has set in Pillow is neither used nor changed."""

import threading

import pytest
from image_files import noise, save
from PIL import Image, ImageFile

from keras_patching.data.images import image_io


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_pillows_own_limit_is_not_ours_and_stays(tmp_path, monkeypatch, suffix):
    path = save(tmp_path / f"a{suffix}", Image.fromarray(noise(30, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert image_io.read_image(path).shape[:2] == (30, 40)
    assert image_io.read_header(path).size == (30, 40)
    with pytest.raises(Image.DecompressionBombError):
        Image.open(path)


def test_threads_decode_at_once_and_leave_pillow_as_it_was(
    tmp_path, monkeypatch
):
    array = noise(200, 300, 3)
    image_io.write_image(tmp_path / "a.png", array)
    data = (tmp_path / "a.png").read_bytes()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    wrong = []

    def decode():
        for _ in range(10):
            if (image_io.decode_image(data, "a.png") != array).any():
                wrong.append("whole")
            try:
                image_io.decode_image(data[: len(data) // 2], "a.png")
                wrong.append("half")
            except ValueError:
                pass

    threads = [threading.Thread(target=decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert Image.MAX_IMAGE_PIXELS == 100
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
