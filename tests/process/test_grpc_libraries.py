"""Calls of libraries that talk gRPC: no HTTP client reports them, only the library's own spans do."""

import importlib.util

import pytest

PROGRAM = """
from concurrent import futures
import grpc
from xai_sdk import Client
from xai_sdk.chat import system, tool, user
from xai_sdk.proto import chat_pb2, chat_pb2_grpc

class Servicer(chat_pb2_grpc.ChatServicer):
    def answer(self, kind, part):
        answer = kind(id="r", model="grok-4-0709")
        output = answer.outputs.add(finish_reason=1, index=0)
        message = getattr(output, part)
        message.role, message.content = chat_pb2.ROLE_ASSISTANT, "PLANTED answer"
        call = message.tool_calls.add(id="c").function
        call.name, call.arguments = "get_weather", '{"city": "PLANTED"}'
        usage = answer.usage
        usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens = 1000, 250, 50
        usage.total_tokens = 1300
        return answer

    def GetCompletion(self, request, context):
        return self.answer(chat_pb2.GetChatCompletionResponse, "message")

    def GetCompletionChunk(self, request, context):
        yield self.answer(chat_pb2.GetChatCompletionChunk, "delta")

server = grpc.server(futures.ThreadPoolExecutor(2))
chat_pb2_grpc.add_ChatServicer_to_server(Servicer(), server)
port = server.add_insecure_port("localhost:0")
server.start()
client = Client(api_key="PLANTED", api_host=f"localhost:{port}")
weather = tool("get_weather", "PLANTED", {"type": "object", "properties": {}})
messages = [system("PLANTED system"), user("PLANTED question")]
chat = client.chat.create(model="grok-4-0709", messages=messages, tools=[weather])
print(chat.sample().content)
print(*[chunk.content for _, chunk in chat.stream()])
server.stop(None)
"""


@pytest.mark.skipif(not importlib.util.find_spec("xai_sdk"), reason="xai-sdk is not installed")
def test_calls_of_xai_sdk_have_a_cost(run, sink):
    """Its spans have the tokens; 1,000 cost 3 USD and 300 cost 15 USD a million."""
    done = run(PROGRAM, env={"LUPIS_SUMMARY": "true"})
    assert "PLANTED answer\nPLANTED answer\n" == done.stdout
    assert 2 == len(sink.spans)
    for span in sink.spans:
        attributes = span["attributes"]
        assert (1000, 300) == tuple(
            attributes[f"gen_ai.usage.{kind}_tokens"] for kind in ("input", "output")
        )
        assert 0.0075 == pytest.approx(attributes["lupis.cost.total"])
    assert "2 LLM calls" in done.stderr
    assert "PLANTED" not in repr(sink.spans)
