"""Slides and images of microscopes, as other programs write them."""

import numpy as np
import tifffile
import zarr


def halved(array, levels):
    """Give an image `(height, width, ...)` at several levels."""
    return [array[:: 2**k, :: 2**k] for k in range(levels)]


def write_ome_tiff(path, images, pixel_size=None, unit="µm", **options):
    """Write an OME-TIFF of images, each a list of levels `(h, w[, c])`.

    Args:
        pixel_size: Length of a pixel of the largest level, `(y, x)`.
        options: Of the pixels, for tifffile.
    """
    options = {"tile": (16, 16), "photometric": "minisblack", **options}
    with tifffile.TiffWriter(path, ome=True) as tiff:
        for number, levels in enumerate(images):
            planes = [np.moveaxis(level, -1, 0) for level in levels]
            metadata = {"axes": "CYX", "Name": f"image {number}"}
            if options["photometric"] == "rgb":
                planes, metadata["axes"] = levels, "YXS"
            if pixel_size is not None:
                height, width = pixel_size
                metadata["PhysicalSizeY"] = height
                metadata["PhysicalSizeX"] = width
                metadata["PhysicalSizeYUnit"] = unit
                metadata["PhysicalSizeXUnit"] = unit
            first, *others = planes
            tiff.write(first, subifds=len(others), metadata=metadata, **options)
            for level in others:
                tiff.write(level, subfiletype=1, **options)


def write_ome_zarr(
    folder,
    levels,
    axes="cyx",
    version="0.4",
    scale=None,
    unit="micrometer",
    chunks=None,
    **metadata,
):
    """Write an OME-Zarr of arrays of levels, which have these axes.

    Args:
        scale: Length of a step of the largest level along each axis.
        metadata: Attributes beside `multiscales`.
    """
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.open_group(str(folder), mode="w", zarr_format=zarr_format)
    scale = scale or [1] * len(axes)
    datasets = []
    for number, level in enumerate(levels):
        array = group.create_array(
            str(number),
            shape=level.shape,
            chunks=chunks or level.shape,
            dtype=level.dtype,
        )
        array[...] = level
        steps = [
            step * (2**number if axis in "yx" else 1)
            for axis, step in zip(axes, scale, strict=True)
        ]
        scaling = [{"type": "scale", "scale": steps}]
        datasets.append(
            {"path": str(number), "coordinateTransformations": scaling}
        )
    kinds = {"t": "time", "c": "channel"}
    described = [
        {"name": axis, "type": kinds.get(axis, "space")}
        | ({"unit": unit} if axis in "zyx" and unit else {})
        for axis in axes
    ]
    multiscale = {"axes": described, "datasets": datasets, "name": "scan"}
    if version != "0.5":
        multiscale["version"] = version
    attributes = {"multiscales": [multiscale], **metadata}
    if version == "0.5":
        attributes = {"ome": {"version": "0.5", **attributes}}
    group.attrs.update(attributes)
    return folder
