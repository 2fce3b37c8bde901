"""Labels as people have them: points, boxes, masks, and their images."""
