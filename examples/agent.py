"""Runs a small agent with tools. It is plain Python and does not import Lupis.

The agent finds a note with an embedding, answers a question with a tool, and asks a second question
that a busy model rejects, so that another model answers it. At the end, a model of another provider
streams a summary.

    python examples/agent.py               # without Lupis
    lupis-run python examples/agent.py     # the same output, and a summary of the LLM calls
"""

import json
import urllib.error
import urllib.request

import fake_llm

KEY = "made-up-key"  # the fake provider needs none; read a real one from the environment
NOTES = [
    "Lisbon: pack for sun and wind.",
    "Oslo: the museums close on Mondays.",
    "Kyoto: the gardens are best at eight in the morning.",
]
WEATHER = {"Lisbon": "24 °C and sunny", "Oslo": "9 °C and rain", "Kyoto": "15 °C and fog"}
WEATHER_TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city, today.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


class Agent:
    """An agent in one conversation with its user."""

    def __init__(self, base_url):
        """Start a conversation; `base_url` is the provider's URL without a path."""
        self.base_url = base_url
        self.model = "gpt-4o-mini"
        self.messages = [{"role": "system", "content": "You are a travel agent. Be brief."}]

    def find_note(self, question):
        """Return the note whose embedding is nearest to the question."""
        body = {"model": "text-embedding-3-small", "input": [question, *NOTES]}
        with self.post("/v1/embeddings", body) as answer:
            target, *vectors = [item["embedding"] for item in json.load(answer)["data"]]
        distances = [sum((a - b) ** 2 for a, b in zip(target, vector)) for vector in vectors]
        return NOTES[distances.index(min(distances))]

    def ask(self, question):
        """Ask a question, call the tools that the model requests, and return its answer."""
        self.messages.append({"role": "user", "content": question})
        while True:
            message = self.chat()
            self.messages.append(message)
            if not message.get("tool_calls"):
                return message["content"]
            self.messages.extend(map(use_tool, message["tool_calls"]))

    def chat(self):
        """Return the model's next message; if the model is busy, ask another model."""
        body = {"model": self.model, "messages": self.messages, "tools": [WEATHER_TOOL]}
        try:
            with self.post("/v1/chat/completions", body) as answer:
                return json.load(answer)["choices"][0]["message"]
        except urllib.error.HTTPError as error:
            error.close()
            if error.code != 429:
                raise
            self.model = "gpt-4o"
            return self.chat()

    def summarise(self):
        """Yield a summary of the conversation, word by word as it arrives."""
        texts = [message["content"] for message in self.messages if message.get("content")]
        body = {
            "model": "claude-haiku-4-5",
            "max_tokens": 200,
            "stream": True,
            "messages": [{"role": "user", "content": "Sum this up: " + " ".join(texts)}],
        }
        with self.post("/v1/messages", body) as answer:
            for line in answer:
                event = json.loads(line[5:]) if line.startswith(b"data:") else {}
                yield event.get("delta", {}).get("text", "")

    def post(self, path, body):
        """Send a request, and return the response as soon as its headers have arrived."""
        headers = {
            "Authorization": f"Bearer {KEY}",
            "anthropic-version": "2023-06-01",
            "Content-Type": "application/json",
        }
        request = urllib.request.Request(self.base_url + path, json.dumps(body).encode(), headers)
        return urllib.request.urlopen(request, timeout=60)


def use_tool(call):
    """Call the tool that the model requests, and return the result as a message."""
    city = json.loads(call["function"]["arguments"])["city"]
    result = f"{WEATHER.get(city, 'unknown')} in {city}"
    return {"role": "tool", "tool_call_id": call["id"], "content": result}


def main():
    """Plan a trip with the agent."""
    with fake_llm.base_url(delay=0.002) as url:
        agent = Agent(url)
        question = "What is the weather in Lisbon?"
        print("Note:   ", agent.find_note(question))
        print("Weather:", agent.ask(question))
        agent.model = "always-busy"
        print("Later:  ", agent.ask("And what is it like in Oslo?"))
        print("Summary: ", end="")
        for word in agent.summarise():
            print(word, end="", flush=True)
        print()


if __name__ == "__main__":
    main()
