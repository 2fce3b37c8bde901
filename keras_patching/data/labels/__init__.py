"""Labels as people have them: points, boxes, masks, and their images.

A new format is a module beside `points_csv` or `boxes_json`, which
`points.read_point_labels` or `boxes.read_box_labels` calls; `point_labels` and
`box_labels` say what it must give.

Points are `(y, x)` and boxes x1, y1, x2, y2, in pixels of the image: pixel `i`
reaches from `i` to `i + 1`, see `geometry`. That is how labelling tools export
them, so coordinates are taken as they are.
"""
