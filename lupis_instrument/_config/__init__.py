"""The settings: their table, the types of their values, and `LupisConfig`."""
