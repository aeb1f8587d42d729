"""Services that the site brings along when the operator names none."""
