"""Which conversation an LLM call belongs to."""
