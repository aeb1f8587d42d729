"""Commands about the readings and the site as a whole."""
