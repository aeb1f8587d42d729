"""Whole channels brought in at once: from the website's CSV export, or over the API.

Pure: `header` (columns of a file whose lines `devices.readings.imports.text` reads), `times`,
`csv_export` (entries and refusals), `tally` (what a file holds). With the site: `files` (the
uploaded file), `portion` (what of it is new here), `checking` (the dry run), `csv_job` and
`api_job` (the import itself).
"""
