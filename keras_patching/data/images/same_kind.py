"""Images of one data set are of one dtype, with as many channels."""

from keras_patching.data.images.channels import grayscale_hint, is_convertible


def check_same_kind(headers, channels, dtype=lambda stored: stored):
    """Refuse images of different dtypes or numbers of channels.

    Args:
        headers: Dict from path to `ImageHeader`.
        channels: Channels to convert to; `None` keeps those of the files.
        dtype: Function from the dtype of a file to that which it is fed in.

    Returns:
        A list of faults, empty if all is well.
    """
    faults = []
    first_path, first = next(iter(headers.items()), (None, None))
    for path, header in headers.items():
        if dtype(header.dtype) != dtype(first.dtype):
            faults.append(
                f"{path}: is {header.dtype}, and {first_path} is "
                f"{first.dtype}. Save all images with one dtype."
            )
        elif channels is None and header.channels != first.channels:
            faults.append(
                f"{path}: has {header.channels} channels, and {first_path} "
                f"has {first.channels}. Pass `channels` to convert all."
            )
        elif not is_convertible(header.channels, channels):
            faults.append(
                f"{path}: has {header.channels} channels, expected "
                f"{channels}. Pass channels={header.channels}, or "
                "channels=None to keep what the files have."
                f"{grayscale_hint(header.channels, channels)}"
            )
    return faults
