"""Columns of points are found by the names that tools give them."""

import pytest

from keras_patching.data.labels.point_columns import find_columns

HEADERS = {
    "people": "Image,x,y",
    "any order": "note,Y,score,X,filename",
    "ImageJ": " ,Label,Area,Mean,Min,Max,X,Y,Slice,Counter,Count",
    "ImageJ, and boxes": " ,Label,X,Y,BX,BY,Width,Height,Mean",
    "ImageJ, of mass": " ,Label,X,Y,XM,YM",
    "ImageJ, of mass alone": "Label,XM,YM",
    "QuPath": "Image,Object ID,Name,Class,Centroid X px,Centroid Y px",
    "TrackMate": "LABEL,ID,POSITION_X,POSITION_Y,POSITION_Z,FRAME",
    "brackets": "file_name,x [px],y [px],class",
}
READ = {
    "people": ("Image", "x", "y", None),
    "any order": ("filename", "X", "Y", None),
    "ImageJ": ("Label", "X", "Y", "Counter"),
    "ImageJ, and boxes": ("Label", "X", "Y", None),
    "ImageJ, of mass": ("Label", "X", "Y", None),
    "ImageJ, of mass alone": ("Label", "XM", "YM", None),
    "QuPath": ("Image", "Centroid X px", "Centroid Y px", "Class"),
    "TrackMate": ("LABEL", "POSITION_X", "POSITION_Y", None),
    "brackets": ("file_name", "x [px]", "y [px]", "class"),
}


@pytest.mark.parametrize("tool", HEADERS)
def test_the_columns_of_tools_are_found(tool):
    header = HEADERS[tool].split(",")
    found = find_columns([cell.strip() for cell in header])
    indices = (found.image, found.x, found.y, found.label)
    assert READ[tool] == tuple(
        None if index is None else header[index] for index in indices
    )
    assert found.is_imagej == ("ImageJ" in tool or tool == "TrackMate")


@pytest.mark.parametrize("header", ["image,col,row", "image,x", "a,10,20", ""])
def test_what_has_no_x_and_y_is_no_header_of_points(header):
    assert find_columns(header.split(",")) is None


@pytest.mark.parametrize(
    ("header", "words"),
    [
        ("image,x,y,X,Y", "the column x 2 times, .* once each"),
        ("image,position_x,position_y,xm,ym", "xm and position x, .* one of x"),
        ("image,x,y,width,height", "may be the corner of a box"),
        ("image,w,h,x,y", "may be the corner of a box"),
        ("file,filename,x,y", "'file', 'filename', expected one that names"),
        ("Image,Centroid X µm,Centroid Y µm", "centroid x µm, expected pixels"),
        ("image,x (mm),y (mm)", "x mm, expected pixels. Divide"),
    ],
)
def test_headers_that_can_be_meant_in_two_ways_are_an_error(header, words):
    with pytest.raises(ValueError, match=words):
        find_columns(header.split(","))
