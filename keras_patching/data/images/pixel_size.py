"""How large a pixel is, on the ground or under the microscope."""

import dataclasses
import math

UNITS = "m", "µm"


@dataclasses.dataclass(frozen=True)
class PixelSize:
    """Height and width of a pixel in a unit of length.

    Args:
        height: How far it is from one row to the next, above 0.
        width: How far it is from one column to the next, above 0.
        unit: `"m"` or `"µm"`, with the micro sign, U+00B5.

    Raises:
        ValueError: A length is not a finite number above 0, or the unit is
            another.

    Example:

    >>> PixelSize(0.5, 0.5, "m")
    PixelSize(height=0.5, width=0.5, unit='m')
    """

    height: float
    width: float
    unit: str

    def __post_init__(self):
        for name in ("height", "width"):
            length = getattr(self, name)
            if not (math.isfinite(length) and length > 0):
                raise ValueError(
                    "The size of a pixel must be a finite number above 0. "
                    f"Received: {name}={length}"
                )
            object.__setattr__(self, name, float(length))
        if self.unit not in UNITS:
            raise ValueError(
                f"The unit of the size of a pixel must be one of {UNITS}. "
                f"Received: unit={self.unit!r}"
            )
