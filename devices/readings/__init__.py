"""The time series: what every device said, kept once and found fast."""
