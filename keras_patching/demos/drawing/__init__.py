"""Pictures of plants from above, drawn with numpy, with their labels."""
