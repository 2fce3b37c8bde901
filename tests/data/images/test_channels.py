"""Images get the channels that are wanted, and no others silently."""

import numpy as np
import pytest
from PIL import Image

from keras_patching.data.images.image_io import read_image, write_image
from keras_patching.prediction.sources import open_source

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grayscale_is_that_of_pillow(mode, suffix, tmp_path):
    colour = RNG.integers(0, 256, (50, 60, 3), "uint8")
    image = Image.fromarray(colour).convert(mode)
    image.save(tmp_path / f"a.{suffix}")
    if suffix == "tif" and mode == "P":
        pytest.skip("Pillow's palettes are those of PNG.")
    grey = read_image(tmp_path / f"a.{suffix}", channels="grayscale")
    expected = image.convert("RGB").convert("L") if mode == "P" else image
    np.testing.assert_array_equal(grey[..., 0], np.array(expected.convert("L")))
    opened = open_source(tmp_path / f"a.{suffix}", 0, channels="grayscale")
    assert opened.shape == (50, 60, 1)
    np.testing.assert_array_equal(opened.read(7, 11, 3, 5), grey[7:18, 3:8])
    opened.close()


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32"])
def test_grayscale_keeps_depth_and_range(dtype, tmp_path):
    colour = (RNG.random((6, 7, 3)) * 30000).astype(dtype)
    colour[0] = 30000  # White stays white.
    write_image(tmp_path / "a.tif", colour)
    grey = read_image(tmp_path / "a.tif", channels="grayscale")
    expected = colour.astype("float64") @ [0.299, 0.587, 0.114]
    assert grey.dtype == dtype
    assert grey.shape == (6, 7, 1)
    np.testing.assert_allclose(grey[..., 0], expected, atol=1.01)
    np.testing.assert_array_equal(grey[0], 30000)


def test_colour_is_made_grey_on_demand_only(tmp_path):
    write_image(tmp_path / "rgb.png", np.zeros((4, 4, 3), "uint8"))
    with pytest.raises(ValueError, match=r'expected 1.*channels="grayscale"'):
        read_image(tmp_path / "rgb.png", channels=1)
    write_image(tmp_path / "five.tif", np.zeros((4, 4, 5), "uint8"))
    with pytest.raises(ValueError, match='5 channels, expected "grayscale"'):
        read_image(tmp_path / "five.tif", channels="grayscale")
