"""What there is, what it said, and what is wrong with it."""
