"""Runs a LangChain chain, a tool call and embeddings. Each HTTP call has one span.

    lupis-run python examples/langchain_example.py

Needs: pip install langchain-openai
"""

import fake_llm
from langchain_core.prompts import ChatPromptTemplate
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


def look_up_river(city: str) -> str:
    """Name the river of a city."""
    return {"Vienna": "the Danube"}.get(city, "none that I know")


def answer_with_tool(model, question):
    """Let the model call a tool, and return its answer to the tool's result."""
    model = model.bind_tools([look_up_river])
    first = model.invoke([("user", question)])
    call = first.tool_calls[0]
    result = {"role": "tool", "tool_call_id": call["id"], "content": look_up_river(**call["args"])}
    return model.invoke([("user", question), first, result]).content


def main():
    """Make one call of each kind."""
    with fake_llm.base_url() as url:
        options = {"base_url": f"{url}/v1", "api_key": "made-up-key", "max_retries": 0}
        model = ChatOpenAI(model="gpt-4o-mini", stream_usage=True, **options)
        chain = ChatPromptTemplate.from_messages([("user", "Name a river in {country}.")]) | model
        answer = chain.invoke({"country": "Austria"})
        print("chain:", answer.content, answer.usage_metadata["total_tokens"])
        print("stream:", "".join(part.content for part in chain.stream({"country": "Italy"})))
        print("tool:", answer_with_tool(model, "Which river flows through Vienna?"))
        texts = ["a river", "a brook"]
        embeddings = OpenAIEmbeddings(
            model="text-embedding-3-small", check_embedding_ctx_length=False, **options
        )
        print("embeddings:", len(embeddings.embed_documents(texts)))


if __name__ == "__main__":
    main()
