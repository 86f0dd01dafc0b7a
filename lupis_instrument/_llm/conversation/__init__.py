"""Which conversation a call belongs to."""
