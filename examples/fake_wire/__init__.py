"""The answers of the fake LLM provider, in the wire formats of real providers."""
