"""Plots of numbers, a file each: what a fit learned, how far counts are off.

Each function gives a `Figure` of matplotlib, which notebooks show and `savefig`
writes, and touches no state of `pyplot`. A new one is listed in
`visualization/__init__.py`.
"""
