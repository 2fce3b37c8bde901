"""Image files: reading and writing them, headers and limits, each format."""
