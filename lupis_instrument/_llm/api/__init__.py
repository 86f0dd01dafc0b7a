"""Which LLM API a request goes to, and how it words its answers."""
