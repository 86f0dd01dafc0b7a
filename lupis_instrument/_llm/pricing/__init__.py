"""The cost of a call in USD."""
