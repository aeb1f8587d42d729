"""Schema drift: fields that are no longer what they were mapped as."""
