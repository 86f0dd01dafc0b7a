"""The parts of usage reports that are charged beside the tokens of the call's own model.

A part without a row here is never charged as nothing: the status of the cost is then `partial`,
with the part's name in the reason.
"""

from __future__ import annotations

TOOL_MEMBERS: tuple[str, ...] = (
    "server_tool_use",  # platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool
    "server_tool_use_details",  # openrouter.ai/docs/guides/features/server-tools
    "server_side_tool_usage_details",  # docs.x.ai/developers/tools/tool-usage-details
    "server_side_tool_usage",
    "server_side_tools_used",
    "tool_calls_details",  # docs.perplexity.ai/api-reference/responses-post
    "tool_usage",  # developers.openai.com/api/reference/resources/responses
    "tool_usage_details",
    "serverToolUse",  # docs.aws.amazon.com/bedrock: Converse
    "serverToolUsage",
    "connectors",  # docs.mistral.ai/agents/tools/built-in/websearch
    "grounding_tool_count",  # ai.google.dev/api/interactions-api
)
"""Members of a report that count the calls of tools that the provider runs."""

FREE = ""
TOOL_CALLS: dict[str, str] = {
    "web_search": "web_searches",
    "web_search_requests": "web_searches",
    "web_search_calls": "web_searches",
    "web_search_premium": "web_searches",
    "search_web": "web_searches",
    "google_search": "web_searches",
    "websearchrequests": "web_searches",
    "x_search": "social_searches",
    "x_search_calls": "social_searches",
    "file_search": "storage_searches",
    "file_search_calls": "storage_searches",
    "document_search_calls": "storage_searches",
    "collections_search_calls": "storage_searches",
    "code_execution_requests": "code_executions",
    "code_interpreter": "code_executions",
    "code_interpreter_calls": "code_executions",
    # platform.claude.com/docs/en/agents-and-tools/tool-use/web-fetch-tool: "no additional charges"
    "web_fetch_requests": FREE,
    # docs.x.ai/developers/tools/overview: only the tokens of these are charged
    "mcp_calls": FREE,
    "view_image_calls": FREE,
    "view_x_video_calls": FREE,
    # openrouter.ai/docs/guides/features/server-tools: calls that are counted as `executed`, too
    "tool_calls_requested": FREE,
}
"""Names of tools and of counts of their calls, with the field of `Usage` that counts them."""

TOKEN_MEMBERS = frozenset(
    (
        "toolUsePromptTokenCount", "toolUsePromptTokensDetails", "total_tool_use_tokens",
        "tool_use_tokens_by_modality",
    )
)  # fmt: skip
"""Members that are named for tools and count tokens, which the dialects read."""

DETAIL_MEMBERS: tuple[str, ...] = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
    "input_token_details",
    "output_token_details",
)
"""Members of the OpenAI dialects that split a count of tokens by kind."""
DETAIL_KINDS = frozenset(
    (
        "text_tokens", "image_tokens", "audio_tokens", "video_tokens", "file_tokens",
        "cached_tokens", "cache_write_tokens", "cache_creation_tokens",
        "cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_tokens",
        "thinking_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens",
    )
)  # fmt: skip
"""Kinds of tokens that are read, or that have the price of the whole count."""

COUNT_NAMES = frozenset(("count", "invocation", "num_requests", "requests", "calls"))
"""Members that count calls of the tool that the member around them names."""

UNPRICED_COUNTS: dict[str, str] = {
    "images": "images",  # docs.cohere.com/reference/embed: `billed_units`
    "image_tokens": "image tokens",
    "classifications": "classifications",
    "pages": "pages",
    "image_pixels": "image pixels",  # docs.voyageai.com/reference/multimodal-embeddings-api
    "video_pixels": "video pixels",
    "num_sources_used": "sources",  # docs.x.ai: live search
}
"""Counts, in a report or in its `billed_units`, that no price of the catalog is for."""

OWN_ROUNDS: tuple[str, ...] = ("message", "fallback_message")
"""Rounds of Anthropic's `iterations` that the report itself includes if its model answered.

A round of another model declined the request. It is charged only if it had produced output.
https://platform.claude.com/docs/en/build-with-claude/refusals-and-fallback
"""
ADDED_ROUND = "compaction"
"""A round of the call's own model that the report itself does not include."""
OTHER_ROUND = "advisor_message"
"""A round of another model, which the report itself does not include.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/advisor-tool
"""

MODALITIES: dict[str, str] = {
    "TEXT": "text",
    "DOCUMENT": "",  # ai.google.dev/gemini-api/docs/pricing: charged as text or images
    "MODALITY_UNSPECIFIED": "",
    "AUDIO": "audio",
    "IMAGE": "image",
    "VIDEO": "video",
    # The numbers of protobuf, with `$alt=json;enum-encoding=int`.
    "0": "",
    "1": "",
    "2": "image",
    "3": "video",
    "4": "audio",
    "5": "",
}
"""The modality in the names of the fields of `Usage`; empty if it is charged as text."""
