"""What is wrong: alerts and the events that opened and closed them."""
