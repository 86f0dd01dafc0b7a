"""The stages that a finished span passes, in order."""
