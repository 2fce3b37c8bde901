"""Labels as people have them: points, boxes, masks, and their images.

A new format is a module beside `points_csv` or `boxes_voc`, which
`points.read_point_labels` or `box_formats.read_format` calls; `point_labels`
and `box_entries` say what it must give. One of a tool that draws shapes of
several kinds is a module beside `labelme`, which `annotations` calls, and is
read as boxes, points and masks.

Points are `(y, x)` and boxes x1, y1, x2, y2, in pixels of the image: pixel `i`
reaches from `i` to `i + 1`, see `geometry`. That is how labelling tools export
them, so coordinates are taken as they are; those of Pascal VOC count from 1.
"""
