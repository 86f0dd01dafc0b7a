"""Questions to recorded data."""
