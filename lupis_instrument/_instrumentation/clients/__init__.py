"""One adapter for each HTTP client."""
