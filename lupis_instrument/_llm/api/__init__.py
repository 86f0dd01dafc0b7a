"""Which LLM API a request goes to, and the names of the facts in its responses."""
