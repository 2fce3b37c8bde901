"""The seedlings of `fields.seedling_field`: where they stand, their leaves.

Drawn with the parts of `plants`, in the same units: pixels, points
`(y, x)`, angles in radians from x towards y.
"""

import numpy as np

from keras_patching.demos.drawing import plants

SMALLEST, LARGEST = 9, 22  # radius
_CLUMP_SIZES, _CLUMP_SHARES = (1, 2, 3, 4), (0.6, 0.23, 0.11, 0.06)
_BEET = (136, 46, 72)


# Where they stand


def seedlings_in_rows(size, rng, zoom=1):
    """Sow seedlings along loose rows, some in clumps and some astray.

    How dense and how old they are differs from field to field. Neighbours
    touch and overlap, but each is seen.

    Args:
        size: `(height, width)` in pixels.
        rng: Generator of all choices.
        zoom: What all lengths are multiplied by.

    Returns:
        A list of `((y, x), radius)` in the order to draw them; some stand
        just outside.
    """
    # Sown at a zoom of 1 and moved apart at the end.
    size = np.divide(size, zoom)
    age, step = rng.uniform(13, 18.5), rng.uniform(72, 180)
    sown = []
    for place in _places_in_rows(size, step, rng):
        _sow_clump(sown, place, age, rng)
    for place in plants.scattered_points(size, 300, rng):
        _sow_clump(sown, place, age, rng)
    rng.shuffle(sown)
    return [((zoom * y, zoom * x), zoom * radius) for (y, x), radius in sown]


def _places_in_rows(size, step, rng):
    spacing, tilt = rng.uniform(84, 112), rng.normal(0, 0.06)
    for row in np.arange(rng.uniform(0, spacing), size[0] + spacing, spacing):
        x = rng.uniform(-step, 0)
        while x < size[1] + 2 * LARGEST:
            yield row + tilt * (x - size[1] / 2) + rng.normal(0, 7), x
            x += step * rng.gamma(6, 1 / 6)


def _sow_clump(sown, place, age, rng):
    """Add the seedlings that grew from one place, each beside another."""
    count = rng.choice(_CLUMP_SIZES, p=_CLUMP_SHARES)
    clump = []
    for _ in range(count):
        radius = np.clip(age * rng.lognormal(0, 0.28), SMALLEST, LARGEST)
        center = place
        if clump:
            neighbour, reach = clump[rng.integers(len(clump))]
            apart = (radius + reach) * rng.uniform(0.68, 1.05)
            angle = rng.uniform(0, 2 * np.pi)
            center = plants.moved(neighbour, angle, apart)
        if _is_free(center, radius, sown):
            clump.append((center, radius))
            sown.append((center, radius))


def _is_free(center, radius, sown):
    if not sown:
        return True
    centers = np.array([other for other, _ in sown])
    radii = np.array([reach for _, reach in sown])
    apart = np.hypot(*(centers - center).T)
    return bool((apart > 0.65 * (radii + radius)).all())


# How they look


def draw_seedling(canvas, mask, center, radius, rng, value=1, zoom=1):
    """Draw a young plant: two cotyledons, and leaves the more the larger.

    Args:
        canvas: Float32 `(3, height, width)`, changed in place.
        mask: Integer `(height, width)` that takes `value` where the plant is.
        center: `(y, x)` of the plant.
        radius: Length of its outer leaves.
        rng: Generator of all choices.
        value: What the mask takes, such as the number of the plant.
        zoom: How much larger it is seen than at its age.
    """
    red = rng.uniform(0.75, 1) if rng.random() < 0.14 else 0
    color = np.multiply(plants.GREEN, rng.uniform(0.85, 1.2))
    color += red * (_BEET - color)
    grown = (radius / zoom - SMALLEST) / (LARGEST - SMALLEST)
    count = round(5 * grown + rng.uniform(0, 1.6))
    first, slender = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 0.75)
    reach = radius * (1 - 0.25 * min(count, 1))
    leaves = [
        (first + rng.normal(0, 0.15), reach, 1.1),
        (first + np.pi + rng.normal(0, 0.25), reach, 1.1),
    ]
    leaves += [
        (
            first + 1.4 + 2.4 * leaf + rng.normal(0, 0.15),
            radius * (1 - 0.5 * leaf / count) * rng.uniform(0.85, 1.1),
            rng.uniform(0.85, 1.08) + 0.2 * leaf / count,
        )
        for leaf in range(count)
    ]
    for angle, length, light in leaves:
        plants.draw_leaf(
            canvas,
            plants.moved(center, angle, 0.05 * radius),
            angle,
            length,
            max(length * slender * rng.uniform(0.9, 1.15), 7 * zoom),
            color * light,
            rng,
            bend=rng.normal(0, 0.08),
            mask=mask,
            value=value,
        )


def draw_fallen_leaf(canvas, center, rng, zoom=1):
    """Draw a lone leaf, which is not a plant."""
    length = zoom * rng.uniform(10, 26)
    plants.draw_leaf(
        canvas,
        center,
        rng.uniform(0, 2 * np.pi),
        length,
        length * rng.uniform(0.35, 0.6),
        np.multiply(plants.GREEN, rng.uniform(0.75, 1.15)),
        rng,
        bend=rng.normal(0, 0.15),
    )
