"""What the page of a prediction of files tells, a module per task.

The page is `report.html`, of `prediction_page`; `visualization.pages` makes its
HTML. A task has a class of contents here, which its `Report` gives as
`page_contents`. It is made of the model and has

- `kinds`: list of `LayerKind`,
- `columns`: list of `Column`, those of the table of images,
- `values(entry)`: a `Value` per column, from an `Entry` of the journal,
- `layers(entry, files)`: list of `Layer` of an image; `files(key, size)` gives
  the pixels of what was written of it into the folder `key`,
- `tables(entries)`: list of `SmallTable`, of all images together.
"""
