"""What is written of predictions, a module per task, chosen in `by_task`.

A new task has a module here, with

- `OPTIONS`: names of keyword arguments of `predict`,
- `OUTPUTS`: dict from folder to the suffix of the images in it,
- `TABLES`: dict from the name of a CSV file, beside `results.csv`, to its
  columns, the first of which is the image's name,
- `DOCUMENTS`: dict from the name of a JSON file to a function that gives its
  content, from model, rows of `results.csv` and dict from table to rows,
- `predict`: a function of model and image,
- `describe`: a function of model, image and prediction. It gives a dict from
  folder to a tuple of what `write_image` takes, a dict from column of
  `results.csv` to number, and a dict from table to rows, which are dicts
  without the image's name.
"""
