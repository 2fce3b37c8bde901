"""Good labels of every form, small: what hostile ones are made of."""


def _labelme_shape(kind, label, points, group_id=None):
    return {
        "label": label,
        "points": points,
        "group_id": group_id,
        "description": "",
        "shape_type": kind,
        "flags": {},
        "mask": None,
    }


LABELME = {
    "version": "5.5.0",
    "flags": {},
    "shapes": [
        _labelme_shape("polygon", "leaf", [[1, 2], [5, 2], [5, 8]], 1),
        _labelme_shape("rectangle", "weed", [[1, 2], [9, 8]]),
        _labelme_shape("circle", "leaf", [[20, 20], [25, 20]]),
    ],
    "imagePath": "a.png",
    "imageData": None,
    "imageHeight": 40,
    "imageWidth": 60,
}
LABELME_MASK = {
    **LABELME,
    "shapes": [
        {
            **_labelme_shape("mask", "leaf", [[3, 4], [4, 5]]),
            "mask": "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADk"
            "lEQVR4nGNg+M/0nwEABgYCAX4eAgoAAAAASUVORK5CYII=",
        }
    ],
}
LABELME_POINTS = {
    **LABELME,
    "shapes": [_labelme_shape("point", "seedling", [[12.5, 4.0]])],
}


def _region(label, **shape):
    attributes = {"type": label}
    return {"shape_attributes": shape, "region_attributes": attributes}


VIA = {
    "a.png1204": {
        "filename": "a.png",
        "size": 1204,
        "regions": [
            _region("weed", name="rect", x=3, y=2, width=10, height=5),
            _region("weed", name="circle", cx=20, cy=10, r=4),
            _region("leaf", name="ellipse", cx=20, cy=10, rx=4, ry=3),
            _region(
                "leaf",
                name="polygon",
                all_points_x=[1, 5, 5],
                all_points_y=[2, 2, 8],
            ),
        ],
        "file_attributes": {},
    },
    "b.png977": {
        "filename": "b.png",
        "size": 977,
        "regions": {},
        "file_attributes": {},
    },
}
VIA_POINTS = {
    "a.png1204": {
        "filename": "a.png",
        "regions": [_region("seedling", name="point", cx=12.5, cy=4)],
    }
}
VIA_PROJECT = {
    "_via_settings": {"ui": {}, "core": {"buffer_size": 18}},
    "_via_img_metadata": VIA,
    "_via_attributes": {"region": {"type": {"type": "text"}}, "file": {}},
    "_via_data_format_version": "2.0.10",
    "_via_image_id_list": list(VIA),
}


def _coco_object(index, category, **fields):
    return {
        "id": index,
        "image_id": 1,
        "category_id": category,
        "area": 1,
        "iscrowd": 0,
        "bbox": [3, 2, 10, 5],
        "segmentation": [],
        **fields,
    }


_IMAGES = [
    {"id": 1, "file_name": "a.png", "height": 40, "width": 60},
    {"id": 2, "file_name": "images/b.png", "height": 40, "width": 60},
]
_CATEGORIES = [
    {"id": 1, "name": "seedling", "keypoints": ["stem"], "skeleton": []},
    {"id": 2, "name": "weed", "keypoints": ["stem"], "skeleton": []},
]


def _coco(*annotations):
    return {
        "images": _IMAGES,
        "categories": _CATEGORIES,
        "annotations": list(annotations),
    }


_RUNS = {"size": [40, 60], "counts": [2000, 100, 300]}
_PACKED = {"size": [40, 60], "counts": f"m8?i{'0' * 44}[U1"}
COCO = _coco(
    _coco_object(2, 2, segmentation=[[1, 2, 5, 2, 5, 8]]),
    _coco_object(3, 2, segmentation=_RUNS, iscrowd=1),
)
COCO_PACKED = _coco(_coco_object(4, 1, segmentation=_PACKED))
COCO_POINTS = _coco(
    _coco_object(1, 1, keypoints=[12.5, 4, 2], num_keypoints=1),
    _coco_object(2, 2, keypoints=[7.25, 30.75, 1], num_keypoints=1),
)
GEOJSON = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "id": "7f4a9c2e",
            "geometry": {
                "type": "MultiPoint",
                "coordinates": [[12.5, 4], [7.25, 30.75]],
            },
            "properties": {
                "objectType": "annotation",
                "classification": {"name": "Tumor", "color": [200, 0, 0]},
            },
        },
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [1, 2]},
            "properties": {"objectType": "annotation"},
        },
    ],
}
AXES = {"x": {"p1": 1, "p2": 12.5}, "y": {"p1": 2, "p2": 4}}


def _feature(kind, coordinates):
    return {
        "type": "Feature",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"label": "tree", "note": "wet"},
    }


_EAST, _NORTH = 500_010, 5_499_990
_RING = [[_EAST, _NORTH], [_EAST + 5, _NORTH], [_EAST + 5, _NORTH - 4]]
_UTM = {"type": "name", "properties": {"name": "EPSG:25832"}}
MAP_POINTS = [
    {
        "type": "FeatureCollection",
        "crs": _UTM,
        "features": [
            _feature("Point", [_EAST, _NORTH]),
            _feature("MultiPoint", [[_EAST + 2, _NORTH]]),
        ],
    },
    {
        "type": "FeatureCollection",
        "features": [_feature("Point", [9.0001385, 49.652453])],
    },
]
MAP_SHAPES = [
    {
        "type": "FeatureCollection",
        "crs": _UTM,
        "features": [
            _feature("Polygon", [[*_RING, _RING[0]]]),
            _feature("MultiPolygon", [[[*_RING, _RING[0]]]]),
        ],
    },
]

POINT_TABLES = [
    "a.png,1,2,12.5,4\nb.png\n",
    "image,x,y,class\na.png,1,2,leaf\na.png,12.5,4,weed\nb.png,,,\n",
    "image;x;y\na.png;1,5;2\nb.png;;\n",
    " \tLabel\tX\tY\n1\ta.png\t12.5\t4\n2\tb.png\t7.25\t30.75\n",
    "image,x,y,score\na.png,12.5,4.0,0.75\n",
]
IMAGE_TABLES = [
    " ,Area,Mean,X,Y\n1,0,255,12.5,4\n2,0,255,7.25,30.75\n",
    "Image\tName\tClass\tCentroid X px\tCentroid Y px\na.png\t\tleaf\t1\t2\n",
    "x;y;label\n1,5;2;leaf\n",
]
BOX_TABLES = [
    "image,xmin,ymin,xmax,ymax,label\na.png,3,2,13.5,7,leaf\nb.png,,,,,\n",
    "filename,width,height,class,xmin,ymin,xmax,ymax\n"
    "a.png,60,40,leaf,3,2,13.5,7\nb.png,60,40,,,,,\n",
    "label;y2;y1;x2;x1;file\nleaf;7;2;13,5;3;a\n;;;;;b\n",
    "image_path\tleft\ttop\twidth\theight\tcategory\n"
    "images/a.png\t3\t2\t10.5\t5\tleaf\n",
    "image,x1,y1,x2,y2,score,label\na.png,3.0,2.0,13.5,7.0,0.9,leaf\n",
]
_BOX = {"all_points_x": [3, 13], "all_points_y": [2, 7]}
BOXES_JSON = [
    {"a.png": {"height": 40, "width": 60, "objects": [_BOX]}},
    {"1": {"file_name": "a.png", "objects": [{**_BOX, "label": "leaf"}]}},
    {"a.png": {"objects": []}},
]
VOC = [
    """<?xml version="1.0"?>
<annotation>
  <folder>VOC2012</folder>
  <filename>a.png</filename>
  <source><database>The VOC2007 Database</database></source>
  <size><width>60</width><height>40</height><depth>3</depth></size>
  <object>
    <name>leaf</name><truncated>1</truncated><difficult>1</difficult>
    <bndbox><xmin>1</xmin><ymin>5</ymin><xmax>60</xmax><ymax>40</ymax></bndbox>
    <part><name>tip</name></part>
  </object>
</annotation>
""",
    """<annotation verified="yes"><filename>a.png</filename>
<path>C:\\a.png</path><source><database>Unknown</database></source>
<size><width>60</width><height>40</height><depth>3</depth></size>
<object><name>weed</name><bndbox><xmin>0</xmin><ymin>5.5</ymin><xmax>9</xmax>
<ymax>40</ymax></bndbox></object></annotation>
""",
]
YOLO = [
    "1 0.5 0.25 0.5 0.5\n0 0.25 0.25 0.125 0.125\n",
    "0 0.1 0.1 0.5 0.1 0.5 0.5 0.2 0.7\n",
    "\n",
]
YAML = [
    "train: images\nnc: 2\nnames:\n  0: weed\n  1: 'sugar beet'  # a\n",
    "names: [weed, 'sugar beet']\nnc: 2\n",
    "names: {0: weed, 1: sugar beet}\nkpt_shape: [17, 3]\n",
    'names:\n- weed\n- "sugar beet"\nroboflow:\n  names: none\n',
    "names: [\n  weed,\n  sugar beet\n]\n",
]
CLASS_TABLES = {
    "classes.csv": [
        "name,id,r,g,b\nsoil,0,0,0,0\ncrop,7,0,255,0\nweed,8,255,0,0\n",
        "name;id\nsoil;0\ncrop;7\n",
    ],
    "class_dict.csv": ["name,r,g,b\nsoil,0,0,0\ncrop,0,255,0\n"],
    "_classes.csv": ["Pixel Value, Class\n0, background\n1, crop\n"],
    "label_colors.txt": ["64 128 64\tAnimal\n192 0 128\tArchway\n"],
    "labelmap.txt": [
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrop:0,255,0::\n"
    ],
}
_CHANNELS = {"channel_names": {"0": "red"}, "numTraining": 2}
NNUNET = [
    {**_CHANNELS, "labels": {"soil": 0, "crop": 1, "ignore": 2}},
    {"modality": {"0": "CT"}, "labels": {"0": "soil", "1": "crop"}},
]
