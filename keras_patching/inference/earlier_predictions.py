"""What is kept of a prediction of files that was stopped."""

import os

from keras_patching._faults import raise_faults
from keras_patching._printing import printable


def take_up(journal, images, folder):
    """Keep of an earlier prediction what it has done and what still holds."""
    journal.load()
    kept, others = {}, []
    for stem, entry in journal.entries.items():
        path = images.get(stem)
        if path is not None and entry.source.is_content_of(path):
            if entry.is_in_place(folder.path):
                kept[stem] = entry
        elif path is None or os.path.abspath(path) != entry.source.path:
            others.append(entry.source.path)
    begun = journal.owned - journal.entries.keys() - images.keys()
    raise_faults(
        [printable(path) for path in [*others, *sorted(begun)]],
        f"{folder.path}: holds a prediction that did not come to its end, also "
        "of other images",
        "Predict these too (what is done is not repeated), write to another "
        "folder, or pass `--overwrite` (`overwrite=True`) to predict all that "
        "you ask for again.",
    )
    journal.entries = kept
    if not journal.replaces:
        new = images.keys() - journal.owned
        folder.check_nothing_there(new, are_tables_ours=journal.exists)
