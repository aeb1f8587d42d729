"""The way in: from a source's answer to stored readings."""
