"""What a prediction has noted of itself is not trusted more than it may be."""

import json

import pytest

from keras_patching.inference.prediction_journal import (
    Entry,
    PredictionJournal,
    SourceState,
)
from keras_patching.prediction.target_record import TargetRecord

DEEP = "[" * 100_000
SOURCE = SourceState(10, 1, 1, "0" * 64, "/images/a.png", 5)


def journal(folder):
    return PredictionJournal(folder, "model", {"format": "png"})


def entry_line(**changes):
    fields = {**vars(SOURCE), **changes.pop("source", {})}
    line = {"image": "a", "source": fields, "outputs": {"a_mask.png": 100}}
    return {**line, "row": {}, "tables": {}, **changes}


def written(folder, *lines):
    header = {**journal(folder).header, "replaces": False}
    texts = [
        each if isinstance(each, str) else json.dumps(each) for each in lines
    ]
    journal(folder).path.write_text("\n".join([json.dumps(header), *texts]))
    again = journal(folder)
    again.load()
    return again


def test_a_line_is_read_as_it_was_written(tmp_path):
    entry = Entry(SOURCE, {"a_mask.png": 100}, {}, {})
    assert written(tmp_path, entry_line()).entries == {"a": entry}


@pytest.mark.parametrize(
    "change",
    [
        {"source": {"size": "10"}},
        {"source": {"hashed_at_ns": None}},
        {"source": {"another": 1}},
        {"outputs": ["a_mask.png"]},
        {"outputs": {"a\0b": 100}},
        {"outputs": {"a_mask.png": "100"}},
        {"row": None},
        {"tables": {"points.csv": [1]}},
        {"tables": {"points.csv": None}},
    ],
)
def test_an_image_whose_line_was_changed_is_predicted_again(tmp_path, change):
    found = written(tmp_path, entry_line(**change))
    assert (found.entries, found.owned) == ({}, {"a"})


def test_what_no_file_can_be_called_is_not_in_place(tmp_path):
    found = written(tmp_path, entry_line(outputs={"\ud800.png": 100}))
    assert not found.entries["a"].is_in_place(tmp_path)


@pytest.mark.parametrize("line", [DEEP, "[1]", "null", '{"image": 3}', "{}"])
def test_a_line_that_nobody_wrote_is_left_out(tmp_path, line):
    found = written(tmp_path, line, {"image": "b"})
    assert (found.entries, found.owned) == ({}, {"b"})


@pytest.mark.parametrize("header", ["[1]", "3", '{"format": []}'])
def test_a_journal_without_its_first_line_is_refused_by_name(tmp_path, header):
    journal(tmp_path).path.write_text(header)
    with pytest.raises(ValueError, match=f"{tmp_path.name}: .*--overwrite"):
        journal(tmp_path).load()


def test_a_record_that_nobody_wrote_is_none(tmp_path):
    record = TargetRecord(tmp_path / "a.json", "key", (24, 40), "uint8")
    record.path.write_text(DEEP)
    assert record.read() is None
