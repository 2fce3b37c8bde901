"""Makes `python -m keras_patching` the same as `keras-patching`."""

import sys

from keras_patching.cli import main

sys.exit(main())
