"""What the stand-in for an LLM provider says, and the wire formats it says it in."""
