"""Tables in text files: what separates their cells, and what marks decimals.

Spreadsheets separate cells by commas, by semicolons where a comma marks
decimals, and by tabs in "Unicode text"; Fiji by commas in files called .csv,
and by tabs in all others. What can be meant in two ways is an error.
"""

import csv
import io
import math
import re

from keras_patching.data.labels.forms import describe_text_form
from keras_patching.data.labels.strict_json import read_text

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs"}
_NUMBER = re.compile(r"[+-]?[\d.,]+(e[+-]?\d+)?", re.IGNORECASE)
# With three digits after a mark, which may separate thousands.
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")


def read_table(path, expected, fits):
    """Split a text file into rows of cells.

    Args:
        path: `pathlib.Path` of the file.
        expected: What such a file holds, for messages.
        fits: Function from rows, split at one delimiter, to whether they make
            sense.

    Returns:
        List of pairs of a line number, from 1, and of the row's cells as
        strings, without blank rows and empty cells at the end; and the
        delimiter.

    Raises:
        ValueError: It is no table, or its cells may be separated in two ways.
    """
    content = read_text(path)
    if content.lstrip().startswith(("<", "{", "[")):
        raise ValueError(
            f"{path}: is no CSV. {describe_text_form(content)}{expected}"
        )
    tables, errors = {}, []
    for delimiter in [each for each in DELIMITERS if each in content] or [","]:
        try:
            tables[delimiter] = _split_rows(path, content, delimiter)
        except ValueError as error:
            errors.append(error)
    fitting = [each for each, rows in tables.items() if fits(rows)]
    if errors and not fitting:
        raise errors[0]
    if len(fitting) > 1:
        found = " and by ".join(DELIMITERS[each] for each in fitting)
        raise ValueError(
            f"{path}: its values are separated by {found}, expected one of "
            "them in all rows. Replace one by the other."
        )
    delimiter = fitting[0] if fitting else max(tables, key=content.count)
    return tables[delimiter], delimiter


def find_decimal_mark(path, cells, delimiter):
    """Tell whether the numbers of a table have decimal points or commas.

    Args:
        path: `pathlib.Path` of the file, for messages.
        cells: List of pairs of a line number and a text that is meant as a
            number. Others than numbers are left out.
        delimiter: What separates the cells.

    Returns:
        "." or ",".

    Raises:
        ValueError: There are both, or marks that may separate thousands.
    """
    if delimiter == ",":
        return "."
    numbers = [cell for cell in cells if _NUMBER.fullmatch(cell[1])]
    marked = {
        mark: [cell for cell in numbers if mark in cell[1]] for mark in ".,"
    }
    if marked["."] and marked[","]:
        (line, point), (other, comma) = marked["."][0], marked[","][0]
        raise ValueError(
            f"{path}, line {line}: found {point!r}, and in line {other} "
            f"{comma!r}, expected a point or a comma before the decimals of "
            "all numbers, and nothing between thousands. Correct the others."
        )
    mark = "," if marked[","] else "."
    # Where semicolons separate cells, the comma marks decimals for sure; tabs
    # with points are what Fiji writes.
    if (delimiter, mark) in ((";", "."), ("\t", ",")):
        _refuse_thousands(path, marked[mark], len(numbers))
    return mark


def to_number(cell, decimal_mark="."):
    """Read a finite number; anything else is NaN."""
    if decimal_mark == ",":
        cell = cell.replace(".", "?").replace(",", ".")
    try:
        number = float(cell.replace("_", "?"))  # Python reads 1_2 as 12
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan


def _refuse_thousands(path, marked, total):
    """Refuse marks in numbers of four digits or more that may be no decimals.

    Where all numbers have decimals, the mark is one of decimals.
    """
    if not marked or len(marked) == total:
        return
    if all(_GROUPED.fullmatch(text) for _, text in marked):
        line, text = marked[0]
        digits = re.sub("[.,]", "", text)
        raise ValueError(
            f"{path}, line {line}: found {text!r}, which may be "
            f"{text.replace(',', '.')} or {digits}, as all numbers with a mark "
            "have three digits after it. Save the table without marks between "
            "thousands, or with two decimals in all numbers."
        )


def _split_rows(path, content, delimiter):
    text = io.StringIO(content, newline="")
    reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
    rows, line = [], 1
    try:
        for row in reader:
            if any("\n" in cell or "\r" in cell for cell in row):
                raise csv.Error("a quoted value runs over the end of the line")
            if cells := trim(row):
                rows.append((line, cells))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {line}: cannot be read as CSV ({error}). Close or "
            "remove the quotation marks."
        ) from error
    return rows


def trim(row):
    """Strip all cells, and drop empty ones at the end."""
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        cells.pop()
    return cells
