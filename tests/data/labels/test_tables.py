"""Tables are split as they were written, or refused if that is not clear."""

import re

import pytest

from keras_patching.data.labels.tables import (
    find_decimal_mark,
    read_table,
    to_number,
)


def split(path, text, first="a"):
    """Split a table whose rows begin with a name; give cells, and by what."""
    (path / "t.csv").write_text(text)
    rows, delimiter = read_table(
        path / "t.csv",
        "Expected a row.",
        lambda rows: any(
            len(cells) > 1 and cells[0] == first for _, cells in rows
        ),
    )
    return [cells for _, cells in rows], delimiter


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_cells_are_separated_by_what_makes_sense_of_the_rows(
    tmp_path, delimiter
):
    text = f"a{delimiter}1{delimiter}2\nb\n"
    assert split(tmp_path, text) == ([["a", "1", "2"], ["b"]], delimiter)


def test_other_delimiters_may_be_part_of_names_numbers_and_text(tmp_path):
    rows, delimiter = split(tmp_path, "a;1,5;2\nb,c;1;2\n")
    assert (rows, delimiter) == ([["a", "1,5", "2"], ["b,c", "1", "2"]], ";")
    rows, delimiter = split(tmp_path, 'a,1,2,"so; and"\n')
    assert (rows, delimiter) == ([["a", "1", "2", "so; and"]], ",")


def test_rows_that_are_separated_in_two_ways_are_an_error(tmp_path):
    with pytest.raises(ValueError, match="separated by commas and by semicol"):
        split(tmp_path, "a,1,2\na;1;2\n")


def test_a_slip_in_quotation_marks_is_told_where_nothing_else_fits(tmp_path):
    with pytest.raises(ValueError, match=r"t\.csv, line 1: cannot be read as"):
        split(tmp_path, 'a;"1;2\n3,4\n')


def mark_of(delimiter, *texts, path="t.csv"):
    cells = [(line, text) for line, text in enumerate(texts, 1)]
    return find_decimal_mark(path, cells, delimiter)


@pytest.mark.parametrize(
    ("delimiter", "texts", "mark"),
    [
        (",", ("1.5", "2"), "."),
        (",", ("1,5", "2"), "."),
        (";", ("1,5", "2"), ","),
        (";", ("12,345", "7"), ","),
        (";", ("1.5", "12.345", "7"), "."),
        (";", ("12.345", "7.125"), "."),
        (";", ("1", "2", "x,y."), "."),
        ("\t", ("12.345", "7"), "."),
        ("\t", ("12,345", "7,125"), ","),
        ("\t", ("0,345", "7"), ","),
    ],
)
def test_decimals_follow_a_point_or_a_comma(delimiter, texts, mark):
    assert mark_of(delimiter, *texts) == mark


@pytest.mark.parametrize(
    ("delimiter", "texts"),
    [(";", ("512", "1.024", "2.048")), ("\t", ("512", "1,024"))],
)
def test_marks_that_may_stand_between_thousands_are_an_error(delimiter, texts):
    with pytest.raises(ValueError, match=r"t\.csv, line 2: .* 1\.024 or 1024"):
        mark_of(delimiter, *texts)


def test_both_marks_in_one_table_are_an_error():
    with pytest.raises(
        ValueError, match=r"line 2: found '1\.5', and in line 1"
    ):
        mark_of(";", "1,5", "1.5")


@pytest.mark.parametrize(
    ("cell", "mark", "number"),
    [("1,5", ",", 1.5), ("-1e2", ",", -100.0), ("1.5", ".", 1.5)],
)
def test_numbers_are_read_by_their_mark(cell, mark, number):
    assert to_number(cell, mark) == number


@pytest.mark.parametrize(
    ("cell", "mark"),
    [("1.5", ","), ("1,5", "."), ("1.024,5", ","), ("inf", ".")],
)
def test_what_is_no_number_by_its_mark_is_nan(cell, mark):
    assert re.match("nan", str(to_number(cell, mark)))
