"""What is written of predictions, a module per task, chosen in `by_task`.

A new task has a class `Report` here, made of a model and options. It has

- `OPTIONS`: names of its keyword arguments,
- `outputs`: dict from folder to the suffixes of the files in it: that of
  images that are held in memory, and of larger ones where it is another,
- `tables`: dict from the name of a CSV file, beside `results.csv`, to its
  columns, the first of which is the image's name,
- `documents`: dict from the name of a JSON file to a function that gives its
  content, from model, rows of `results.csv` and dict from table to rows,
- `features`: dict from the name of a GeoJSON file to a table and to a function
  from its rows to shapes in pixels, as `to_geometries` takes them; written
  where images say where on the earth they lie,
- `page_contents`: what `report.html` tells, see `inference.pages`,
- `transform`: the `ImageTransform` whose results it takes,
- `begin(scale, files)`: gives what takes the bands of one image; `scale`
  is a `ReadScale`: bands are of the size of what was read, and what is written
  is of the size of the file. `files` are the `ImageFiles`.

What `begin` gives has

- `add(index, band)`, which takes the next rows of a result,
- `finish(picture)`, which gives what was found in the image of a `Picture`: a
  uint8 picture `(height, width, 3)` with it drawn in, or `None`; a dict from
  column of `results.csv` to number; and a dict from table to rows, which are
  dicts without the image's name.
"""
