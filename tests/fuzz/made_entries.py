"""Entry points of what the package wrote itself, and somebody changed."""

import contextlib
import hashlib
import io
import json
import shutil

import keras
import numpy as np
from entry import Entry, Target
from image_mutations import change_npy
from slides import halved, write_ome_zarr
from text_mutations import change_json, change_lines

import keras_patching as kp
from keras_patching import cli
from keras_patching.data.images.image_io import write_image
from keras_patching.data.images.opened_image import open_image
from keras_patching.data.inspection.cache_page import cache_page
from keras_patching.data.inspection.contents import inspect
from keras_patching.data.inspection.export import export_copy, export_patches
from keras_patching.data.inspection.report import describe
from keras_patching.inference.model_file import load_model_file
from keras_patching.inference.prediction_journal import PredictionJournal
from keras_patching.prediction.target_record import TargetRecord

RGB = np.random.default_rng(0).integers(0, 256, (24, 40, 3)).astype("uint8")


def _cache(folder):
    """Cut two images into patches, and give the path of the manifest."""
    for name in ("images", "masks"):
        (folder / name).mkdir()
    for stem in ("a", "b"):
        write_image(folder / "images" / f"{stem}.png", RGB)
        write_image(folder / "masks" / f"{stem}.png", RGB[..., 0] % 2)
    sequence = kp.load_dataset_from_directory_with_segmentation_masks(
        folder / "images", folder / "masks", 16, verbose=False
    )
    return sequence.manifest_path


def _feed(path):
    """Read all batches of a cache."""
    sequence = kp.PatchingSequence(path, batch_size=4, seed=0)
    for index in range(len(sequence)):
        sequence[index]


def _manifest(folder):
    path = _cache(folder)
    return Target(
        path,
        [path.read_bytes()],
        lambda: _feed(path),
        (str(path), str(path.parent)),
    )


def _inspected(folder):
    """A cache of somebody else is described and exported, into its folder."""
    inside = folder / "inside"
    inside.mkdir()
    path, out, copy = _cache(inside), inside / "out", inside / "copy"

    def read():
        for directory in (out, copy):
            shutil.rmtree(directory, ignore_errors=True)
        caches, faults = inspect(path)
        if faults:
            raise ValueError(faults[0])
        describe(caches[0])
        cache_page(caches[0], 4)
        export_patches(path, out, verbose=False)
        export_copy(path, copy, verbose=False)
        if {*folder.iterdir()} != {inside}:
            raise RuntimeError("a file was written elsewhere")

    return Target(path, [path.read_bytes()], read, (str(path), path.name))


def _change_manifest(rng, data):
    """Change it, and give it the hash that it should end in."""
    changed = change_json(rng, data)
    try:
        content = json.loads(changed)
        if isinstance(content, dict):
            content.pop("sha256", None)
        head = json.dumps(content, separators=(",", ":")).encode()[:-1]
    except (ValueError, RecursionError):
        return changed
    digest = hashlib.sha256(head).hexdigest()
    return head + f',"sha256":"{digest}"}}'.encode()


def _shard(folder):
    manifest = _cache(folder)
    paths = sorted((manifest.parent / "shards").glob("*.images.npy"))
    return Target(
        paths[0],
        [paths[0].read_bytes()],
        lambda: _feed(manifest),
        (str(paths[0]), str(manifest)),
    )


_ENTRY = {
    "image": "a",
    "source": {
        "size": 10,
        "mtime_ns": 1,
        "ctime_ns": 1,
        "sha256": "0" * 64,
        "path": "/data/a.png",
        "hashed_at_ns": 5,
    },
    "outputs": {"a_mask.png": 100},
    "row": {"image": "a.png", "leaf": 3},
    "tables": {"points.csv": [{"image": "a.png", "x": 1.5, "y": 2.0}]},
}


def _journal(folder):
    journal = PredictionJournal(folder, "model", {"format": "png"})
    lines = [{**journal.header, "replaces": False}, {"image": "a"}, _ENTRY]
    text = "\n".join(json.dumps(line) for line in lines)

    def read():
        again = PredictionJournal(folder, "model", {"format": "png"})
        again.load()
        for entry in again.entries.values():
            entry.is_in_place(folder)
            entry.source.is_content_of(folder / "a.png")

    return Target(journal.path, [text.encode()], read, (str(folder),))


def _change_journal(rng, data):
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    lines[place] = change_json(rng, lines[place])
    return b"\n".join(lines)


def _record(folder):
    path = folder / "a.npy.json"
    record = TargetRecord(path, "key", (24, 40), "uint8")
    record.write(5, {"kept": [1, 2]}, None)
    return Target(path, [path.read_bytes()], record.read)


def _zarr(version, name):
    def prepare(folder):
        path = folder / "a.zarr"
        levels = halved(np.moveaxis(RGB, -1, 0), 1)
        levels.append(levels[0][:, ::2, ::2])
        scale = [1, 0.5, 0.5]
        write_ome_zarr(
            path, levels, version=version, scale=scale, omero={"channels": []}
        )

        def read():
            with open_image(path) as image:
                image[:5, :5]

        return Target(
            path / name, [(path / name).read_bytes()], read, (str(path),)
        )

    return prepare


def _model(folder):
    """A folder of a saved model, whose configuration is hostile."""
    path = folder / "model"
    net = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(2, 1)]
    )
    model = kp.SemanticSegmentationModel(2, net, overlap=2, patch_size=8)
    keras.saving.save_model(model, path, zipped=False)
    config = path / "config.json"
    return Target(
        config,
        [config.read_bytes()],
        lambda: load_model_file(path),
        (str(path),),
    )


_WORDS = (
    "patch images masks --patch-size 128 64 --num-classes 3 --class-ids 0 7 11",
    "patch images masks --patch-size 16 --channels all --value-range 0 255",
    "patch images masks --patch-size 16 --resize 0.5 --normalize zscore",
    "predict m.keras a.png --out found --patch-size 512 all --overlap auto",
    "predict m.keras a.png --out found --device-memory 2GB --level 1",
    "verify m.keras a.png --overlap 8 16 --tolerance 0.01 --out seams",
    "inspect images_patches --report page.html",
    "export images_patches patches",
    "clean images_patches --min-age 3600",
)


def _arguments(folder):
    """Arguments are parsed; what they ask for is not done."""
    path = folder / "arguments.txt"

    def read():
        words = path.read_bytes().decode("utf-8", "surrogateescape").split(" ")
        said = io.StringIO()
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
            try:
                cli._parser().parse_args(words)
            except SystemExit as error:
                told = error.code == 0 or "error: " in said.getvalue()
                if not told or error.code not in (0, 2):
                    raise RuntimeError(f"exit {error.code}") from error
                raise ValueError(f"{path}: {said.getvalue()}") from error

    return Target(path, [words.encode() for words in _WORDS], read)


ENTRIES = (
    Entry("made: manifest", _manifest, _change_manifest),
    Entry("made: manifest, inspected", _inspected, _change_manifest, 10_000),
    Entry("made: shard", _shard, change_npy, 10_000),
    Entry("made: journal", _journal, _change_journal),
    Entry("made: record of a result", _record, change_json),
    Entry("zarr: .zattrs", _zarr("0.4", ".zattrs"), change_json),
    Entry("zarr: .zarray", _zarr("0.4", "0/.zarray"), change_json),
    Entry("zarr: zarr.json", _zarr("0.5", "zarr.json"), change_json),
    Entry(
        "zarr: zarr.json of an array", _zarr("0.5", "0/zarr.json"), change_json
    ),
    Entry("made: model", _model, change_json, 1000),
    Entry("command line", _arguments, change_lines),
)
