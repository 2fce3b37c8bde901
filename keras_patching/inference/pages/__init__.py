"""What the page of a prediction of files tells, a module per task.

The page is `report.html`, of `prediction_page`; `visualization.pages` makes its
HTML. A task has a class of contents here, which its `Report` gives as
`page_contents`, and one of scores, `make_scores(truth)` of the contents, which
are contents too. They have

- `kinds`: list of `LayerKind`,
- `columns`: list of `Column`, those of the table of images,
- `values(entry, files)`: a `Value` per column, from an `Entry` of the journal
  and the `WrittenFiles` of the image,
- `layers(entry, files)`: list of `Layer` of an image,
- `tables(entries)`: list of `SmallTable`, of all images whose values were
  asked for.
"""
