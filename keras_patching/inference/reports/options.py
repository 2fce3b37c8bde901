"""Options that the reports of several tasks have."""

# What holds numbers of pixels, by the suffix of its files.
FORMATS = "tif", "npy", "zarr", "ome.tif", "ome.zarr"


def check_choice(value, name, choices):
    """Refuse an option that is none of a few strings.

    Raises:
        ValueError: If it is none of them.
    """
    if value not in choices:
        raise ValueError(
            f"`{name}` must be one of {', '.join(map(repr, choices))}. "
            f"Received: {name}={value!r}"
        )


def suffixes_of(format, default, formats):
    """Give the suffixes of the files of a format.

    Args:
        format: Its name, or `None` for the default.
        default: Tuple of suffixes.
        formats: Names that can hold the results.

    Raises:
        ValueError: If it is none of them.
    """
    if format is None:
        return default
    check_choice(format, "format", formats)
    return (f".{format}",)
