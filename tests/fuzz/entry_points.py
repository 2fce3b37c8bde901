"""The table of entry points."""

import image_entries
import label_entries
import made_entries

ENTRIES = {
    entry.name: entry
    for entries in (
        label_entries.ENTRIES,
        image_entries.ENTRIES,
        made_entries.ENTRIES,
    )
    for entry in entries
}
