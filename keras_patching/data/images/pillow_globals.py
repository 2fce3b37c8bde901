"""Globals of Pillow that decide what it decodes, held while we decode.

A user may have set them, and threads decode at once.
"""

import threading

from PIL import Image, ImageFile


class _Override:
    """Hold a module's global at a value while any thread is inside.

    The lock is held for the two switches only, so that threads decode at the
    same time; the last one out restores what the user had set.
    """

    def __init__(self, module, name, value):
        self.module, self.name, self.value = module, name, value
        self.lock = threading.Lock()
        self.inside = 0

    def __enter__(self):
        with self.lock:
            if self.inside == 0:
                self.restored = getattr(self.module, self.name)
                setattr(self.module, self.name, self.value)
            self.inside += 1

    def __exit__(self, *exception):
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                setattr(self.module, self.name, self.restored)


# Pillow's own limit, which only WebP is asked for while its header is read.
no_pillow_limit = _Override(Image, "MAX_IMAGE_PIXELS", None)
# Files that end before their last pixel are errors.
no_half_images = _Override(ImageFile, "LOAD_TRUNCATED_IMAGES", False)
