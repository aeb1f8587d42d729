"""«Explain this number»: as data, over the API and as a page."""
