"""Image files, exactly or not at all: `image_io` is the front of the formats.

A new format goes beside `pillow_formats`, `tiff_format` and `npy_format`, with
its first bytes in `headers`. Masks are read by `label_images`, folders listed
by `listing`, and `value_range` says which pixels fit a model.
"""
