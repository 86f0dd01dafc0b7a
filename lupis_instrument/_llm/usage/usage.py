"""The token usage of one call, in the fields and the meaning that OpenTelemetry defines."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from decimal import Decimal


class Usage(NamedTuple):
    """The tokens of one call as the provider reported them; None if it reported none.

    Input and output have OpenTelemetry's meaning: `input_tokens` includes tokens that were read
    from or written to the cache, and `output_tokens` includes reasoning. Cached, reasoning, text,
    audio, image and video tokens are parts of these two.

    Attributes:
        web_searches: the searches that the provider made for the answer and bills separately.
        social_searches: the searches among posts of a social network.
        storage_searches: the searches in files that the user stored.
        code_executions: the programs that the provider ran.
        document_pages: the pages of documents that were read.
        annotated_pages: the pages for which the request asked for annotations, too.
        citation_tokens: the tokens of cited sources.
        input_apart_tokens: tokens that are charged as input and not part of `input_tokens`.
        output_apart_tokens: tokens that are charged as output and not part of `output_tokens`.
        audio_seconds: the length of the transcribed audio.
        input_characters: the length of the text to be spoken, from the request: no provider
            reports it.
        billed_input_tokens: the billed input, if the provider reports it separately.
        billed_output_tokens: the billed output, if the provider reports it separately.
        search_size: the provider's word for the size of its searches, which sets their price.
        stated_cost: the cost in USD that the provider states.
        rounds: the usage of other models that took part in the answer.
        problems: the reasons why these counts may not be all that is charged, in a few words.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_5m_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    reasoning_tokens: int | None = None
    total_tokens: int | None = None
    input_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    input_image_tokens: int | None = None
    output_image_tokens: int | None = None
    input_video_tokens: int | None = None
    output_video_tokens: int | None = None
    cache_read_image_tokens: int | None = None
    cache_read_video_tokens: int | None = None
    web_searches: int | None = None
    social_searches: int | None = None
    storage_searches: int | None = None
    code_executions: int | None = None
    document_pages: int | None = None
    annotated_pages: int | None = None
    citation_tokens: int | None = None
    input_apart_tokens: int | None = None
    output_apart_tokens: int | None = None
    audio_seconds: float | None = None
    input_characters: int | None = None
    billed_input_tokens: int | None = None
    billed_output_tokens: int | None = None
    input_text_tokens: int | None = None
    output_text_tokens: int | None = None
    search_size: str | None = None
    stated_cost: Decimal | None = None
    rounds: tuple[Round, ...] = ()
    problems: tuple[str, ...] = ()


class Round(NamedTuple):
    """The usage of another model that took part in an answer.

    Attributes:
        model: the model's name; None if only the request may name it.
        usage: the usage of that model.
        tool: the type of the tool that used the model, such as ``image_generation``.
    """

    model: str | None
    usage: Usage
    tool: str | None = None
