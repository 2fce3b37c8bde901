"""What a cache holds, for people and other tools: tables, pictures, exports.

`contents` counts, `report` tells, `contact_sheet` draws; a new format of
exported labels goes into `export_formats`.
"""
