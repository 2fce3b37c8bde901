"""Pages of HTML to look at: a table of images, and what lies over each.

`page` writes one file that needs no other and no network: `page.html`, with
`page.css` and `page.js` in it. `layers` draws what is switched on and off,
`elements` makes the HTML. Whoever tells of something, as the prediction of
files, gives a `Page` and an `ImageRow` for each image.
"""
