"""Made-up fields to segment, count and detect plants in: begin at `fields`.

`plants` draws what fields are made of, `seedlings` young plants and where they
stand.
"""
