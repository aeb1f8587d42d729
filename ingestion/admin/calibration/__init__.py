"""Admin of calibrations: enter one, see at once what it does, recompute what it governs."""
