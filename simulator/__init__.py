"""A stand-alone ThingSpeak server for demonstration and tests.

It speaks the read API as documented and recorded, generates a network of water works from the
clock, replays recorded feeds and plays faults on demand. It imports nothing of the site, so that an
error in one is not hidden by the other.
"""
