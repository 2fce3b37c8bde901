"""What a cache holds, for people and other tools: tables, pictures, exports.

`contents` counts, `report` tells, `contact_sheet` and `cache_page` draw; a new
format of exported labels goes into `export_formats`.
"""
