"""Takes finished spans and events out of the process without holding anybody up."""
