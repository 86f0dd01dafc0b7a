"""The SQLite file that keeps spans and events."""
