"""The parts of the pictures of `fields`: soil, stones, moss, leaves, light.

Everything is drawn onto a canvas of float32 `(3, height, width)` in 0..255
(channels first, which is three times as fast to draw on) by functions that
take a `numpy.random.Generator`; masks take a number where something is drawn.
Distances are in pixels, points `(y, x)`, angles in radians from x towards y.
"""

import math

import numpy as np

SOIL = (124, 101, 80)
STONE = (142, 134, 124)
GREEN = (92, 140, 56)
RED = (126, 50, 66)
MOSS = (98, 138, 66)
VEIN = (186, 206, 142)


# Where things stand


def plants_in_rows(size, rng, spacing=104):
    """Scatter plants along loose rows.

    Returns:
        A list of `((y, x), radius)` in the order to draw them.
    """
    tilt = rng.normal(0, 0.06)
    plants = []
    for y in np.arange(rng.uniform(0, spacing), size[0] + spacing, spacing):
        x = rng.uniform(-spacing, 0)
        while x < size[1] + spacing / 2:
            if rng.random() < 0.86:
                center = (y + tilt * x + rng.normal(0, 11), x)
                plants.append((center, rng.uniform(26, 76)))
            x += spacing * rng.uniform(0.55, 1.15)
    rng.shuffle(plants)
    return plants


def scattered_points(size, spacing, rng):
    """Scatter about one point `(y, x)` per square of side `spacing`."""
    count = rng.poisson(size[0] * size[1] / spacing**2)
    return rng.uniform((0, 0), size, (count, 2))


# Noise


def smooth_noise(size, scale, rng):
    """Draw float32 noise `(height, width)` in -1..1, smooth over `scale`."""
    down, right = (np.arange(length) / scale for length in size)
    knots = rng.uniform(-1, 1, (int(right[-1]) + 2, int(down[-1]) + 2))
    across = _between_knots(knots.astype("float32"), right)
    return _between_knots(np.ascontiguousarray(across.T), down)


def _between_knots(knots, positions):
    """Blend rows of knots `(n, m)` at positions in 0..n-1, smoothly."""
    below = positions.astype(int)
    part = (positions - below).astype("float32")[:, None]
    part = part * part * (3 - 2 * part)
    values = knots[below + 1]
    values -= knots[below]
    values *= part
    values += knots[below]
    return values


def fractal_noise(size, scale, rng, octaves=4, gain=0.55):
    """Sum `smooth_noise` over scales that halve, roughly in -1..1."""
    return sum(
        gain**octave * smooth_noise(size, scale / 2**octave, rng)
        for octave in range(octaves)
    )


# What lies on the ground


def draw_soil(size, rng):
    """Make a canvas of soil: crumbs lit from the side, dry and wet places."""
    height = fractal_noise(size, 34, rng, octaves=5, gain=0.66)
    angle = rng.uniform(0, 2 * np.pi)
    slope = math.sin(angle) * np.gradient(height, axis=0)
    slope += math.cos(angle) * np.gradient(height, axis=1)
    light = 1 - np.clip(2.4 * slope, -0.3, 0.3)
    light *= 1 - 0.35 * np.clip(-height - 0.5, 0, 1)
    light *= 1 + 0.14 * fractal_noise(size, 240, rng, octaves=3)
    light += 0.06 * rng.standard_normal(size, "float32")
    warmth = 0.05 * smooth_noise(size, 120, rng)
    color = np.multiply(SOIL, rng.uniform(0.85, 1.15))
    canvas = _filled(color, light)
    canvas[0] *= 1 + warmth
    canvas[2] *= 1 - warmth
    return canvas


def draw_stones(canvas, rng):
    """Draw pebbles with a lit and a dark side."""
    for center in scattered_points(canvas.shape[1:], 90, rng):
        radius = rng.gamma(3, 2.2)
        window, y, x = _window(canvas, [center], radius * 1.6 + 4)
        angle, flat = rng.uniform(0, np.pi), rng.uniform(0.6, 0.95)
        along, across = _turned(y, x, angle)
        reach = np.hypot(along, across / flat) + 0.08 * radius * np.sin(
            3 * np.arctan2(across, along) + angle
        )
        light = 1 - 0.28 * (y + x) / (radius + 1)
        light += 0.05 * rng.standard_normal(light.shape, "float32")
        color = np.multiply(STONE, rng.uniform(0.65, 1.15))
        color = _filled(color, light)
        _paint(canvas[window], radius - reach, color, shadow=5)


def draw_moss(canvas, rng, cover=0.12):
    """Lay films of moss and algae, through which the soil shows."""
    size = canvas.shape[1:]
    patches = fractal_noise(size, 130, rng, octaves=5)
    edge = np.quantile(patches[::4, ::4], 1 - cover * rng.uniform(0.6, 1.3))
    film = np.clip((patches - edge) * 5, 0, 1) * rng.uniform(0.75, 0.95)
    film *= 0.75 + 0.25 * fractal_noise(size, 9, rng, octaves=2)
    light = canvas[1] / 92
    for plane, green in zip(canvas, MOSS, strict=True):
        plane += film * (green * light - plane)


# Leaves


def draw_leaf(
    canvas, base, angle, length, width, color, rng, bend=0.0, mask=None, value=1
):
    """Draw one leaf, from a broad one with veins to a blade of grass.

    Args:
        canvas: Float32 `(3, height, width)`, changed in place.
        base: `(y, x)` where the leaf begins.
        angle: Direction in which it grows.
        length: Length along the midrib.
        width: Largest width.
        color: RGB of the blade.
        rng: Generator of the small differences.
        bend: Sideways offset of the tip as a part of the length.
        mask: Integer `(height, width)` that takes `value` where the leaf is.
        value: What the mask takes.
    """
    tip = moved(base, angle, length)
    reach = width / 2 + abs(bend) * length + 5
    window, y, x = _window(canvas, (base, tip), reach)
    if y.size == 0 or x.size == 0:
        return
    along, across = _turned(y, x, angle)
    part = along / length
    across = across - bend * length * part * np.abs(part)
    half = _half_width(part, width, rng)
    inside = half - np.abs(across)
    side = np.clip(across / np.maximum(half, 1), -1, 1)
    light = 0.84 + 0.2 * np.clip(part, 0, 1) - 0.14 * side * side
    if width > 10:  # smaller ones show no texture
        light += 0.16 * math.sin(angle + 0.8) * np.clip(4 * side, -1, 1)
        light += 0.04 * rng.standard_normal(light.shape, "float32")
    blade = _filled(color, light)
    if width > 10:
        veins = _veins(part, across, np.abs(side), width)
        blade += veins * (_filled(VEIN, light) - blade)
    cover = _paint(canvas[window], inside, blade, shadow=8)
    if mask is not None:
        mask[window[1:]][cover > 0.5] = value


def _half_width(part, width, rng):
    """Half of the width along the leaf: a stalk, then the blade."""
    inner = np.clip(part, 0, 1)
    club = rng.uniform(-0.4, 0.5)
    half = inner * (1 - club + club * inner) * np.sqrt(1 - inner)
    half *= 1.3 * width
    half[part < 0.4] = np.maximum(half[part < 0.4], 0.035 * width)
    half[part != inner] = -2
    return half


def _veins(part, across, side, width):
    midrib = np.maximum(1 - np.abs(across) / (0.04 * width + 0.8), 0)
    ribs = np.maximum(np.cos(np.pi * (14 * part - 3.4 * side)), 0)
    ribs *= ribs
    return (0.5 * midrib + 0.14 * ribs * ribs) * (part < 0.93)


def draw_rosette(canvas, mask, center, radius, rng, value=1):
    """Draw a plant: broad leaves around its center, young ones on top.

    Args:
        canvas: Float32 `(3, height, width)`, changed in place.
        mask: Integer `(height, width)` that takes `value` where the plant is.
        center: `(y, x)` of the plant.
        radius: Length of its outer leaves.
        rng: Generator of all choices.
        value: What the mask takes, such as 1 or the number of the plant.
    """
    red = rng.uniform(0.55, 1) if rng.random() < 0.22 else rng.uniform(0, 0.2)
    color = np.multiply(GREEN, rng.uniform(0.75, 1.15))
    color += red * (RED - color)
    count = int(rng.integers(6, 13))
    first, slender = rng.uniform(0, 2 * np.pi), rng.uniform(0.46, 0.72)
    for leaf in range(count):
        length = radius * (1 - 0.66 * leaf / count) * rng.uniform(0.85, 1.1)
        angle = first + 2.4 * leaf + rng.normal(0, 0.15)
        draw_leaf(
            canvas,
            moved(center, angle, 0.04 * radius),
            angle,
            length,
            length * slender * rng.uniform(0.85, 1.15),
            color * rng.uniform(0.85, 1.12) * (1 + 0.15 * leaf / count),
            rng,
            bend=rng.normal(0, 0.1),
            mask=mask,
            value=value,
        )


def draw_grass(canvas, center, rng, mask=None, lengths=(22, 60)):
    """Draw a tuft of thin blades; the mask, if given, becomes 0 under it."""
    color = np.multiply(GREEN, rng.uniform(0.8, 1.2))
    reach = rng.uniform(*lengths)
    for angle in rng.uniform(0, 2 * np.pi, rng.integers(5, 12)).tolist():
        draw_leaf(
            canvas,
            np.asarray(center) + rng.normal(0, 3, 2),
            angle,
            reach * rng.uniform(0.5, 1.2),
            rng.uniform(2.2, 4.6),
            color * rng.uniform(0.85, 1.15),
            rng,
            bend=rng.normal(0, 0.22),
            mask=mask,
            value=0,
        )


# Light


def light_and_camera(canvas, rng):
    """Add uneven light, shadows cast from outside and the camera's noise."""
    height, width = size = canvas.shape[1:]
    y = np.linspace(-1, 1, height, dtype="float32")[:, None]
    x = np.linspace(-1, 1, width, dtype="float32")[None]
    angle = rng.uniform(0, 2 * np.pi)
    light = 1.14 + 0.16 * (math.sin(angle) * y + math.cos(angle) * x)
    light -= 0.08 * (y * y + x * x)
    shadow = fractal_noise(size, 330, rng, octaves=3, gain=0.3)
    light *= 1 - 0.4 * np.clip((shadow - 0.25) * 6, 0, 1)
    for plane in canvas:
        plane *= light
        plane += 3 * rng.standard_normal(size, "float32")
    np.clip(canvas, 0, 255, out=canvas)


# Drawing


def moved(point, angle, distance):
    """Move a point `(y, x)` by a distance in a direction."""
    y, x = point
    return y + distance * math.sin(angle), x + distance * math.cos(angle)


def _window(canvas, points, reach):
    """Slices around points, with the pixels' `(y, x)` from the first one."""
    slices, offsets = [slice(None)], []
    for axis, length in enumerate(canvas.shape[1:]):
        along = [float(point[axis]) for point in points]
        low = min(max(int(min(along) - reach), 0), length)
        high = min(max(int(max(along) + reach) + 1, 0), length)
        slices.append(slice(low, high))
        offsets.append(np.arange(low, high, dtype="float32") - along[0])
    return tuple(slices), offsets[0][:, None], offsets[1][None]


def _turned(y, x, angle):
    sine, cosine = math.sin(angle), math.cos(angle)
    return y * sine + x * cosine, y * cosine - x * sine


def _filled(color, light):
    """One color, `(3, height, width)`, under light `(height, width)`."""
    return np.float32(color)[:, None, None] * light


def _paint(canvas, inside, color, shadow):
    """Blend a color over a soft shadow; give the cover, 0 to 1.

    `inside` is the distance in pixels from the edge, positive inside;
    `shadow` the width in pixels of the shadow around it.
    """
    cover = np.clip(inside + 0.5, 0, 1)
    canvas *= 1 - 0.3 * np.clip(inside / shadow + 0.5, 0, 1)
    canvas += cover * (color - canvas)
    return cover
