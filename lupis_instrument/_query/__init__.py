"""Answers questions about recorded data: the only home of SQL besides the writer of the store.

Open the store with `store_reader.open_store()`; every question takes its connection:

    runs           launches, newest first; finds a launch by the first digits of its id
    calls          LLM calls, one row a call, in pages and in several orders
    traces         traces, and the tree of their spans
    conversations  conversations, newest first, and their calls
    totals         sums and percentiles of calls, grouped by any dimensions (`groupings`)
    series         calls, errors, tokens and cost over time
    errors         failed calls, grouped by their error
    headroom       the rate limits that providers report
    repeats        identical requests, and their cost
    comparison     two runs side by side
    items          spans and events without their bodies

A question takes a `CallFilter`. `filters.make_filter` makes it from values, `text_filter` from a
text such as `model:gpt-4o error cost>0.01`. The answers are frozen and typed; times are in
nanoseconds, costs in USD. Nothing in this folder knows about terminals or command lines.
"""
