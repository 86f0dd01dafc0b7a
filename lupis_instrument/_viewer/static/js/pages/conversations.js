// Conversations, and the turns of one.
import { html } from "../preact.js";
import * as format from "../format.js";
import { useApi, useQuestion } from "../api.js";
import { callsHref, changeHref, conversationHref, makeHref, makeWord, useLocation } from "../location.js";
import { CallHistory } from "../calls.js";
import { Cost, Count, Empty, ErrorCount, Loading, NoCalls, Page, Stats, Table, Time } from "../parts.js";

const SORTS = { newest: (row) => row.last_ms, cost: (row) => row.cost ?? -1, calls: (row) => row.calls, errors: (row) => row.errors };

export function ConversationsPage() {
  const question = useQuestion();
  const answer = useApi("/api/conversations", { ...question, limit: 500 });
  const { params } = useLocation();
  const order = params.get("order") in SORTS ? params.get("order") : "newest";
  const sort = (name) => ({ href: changeHref({ order: name }), sorted: order === name && "descending" });
  return html`<${Page} title="Conversations">
    <${Loading} answer=${answer}>${({ conversations, next }) => html`<${Table} label="Conversations"
      rows=${[...conversations].sort((a, b) => SORTS[order](b) - SORTS[order](a))} rowKey=${(row) => row.chat}
      empty=${html`<${NoCalls} thing="conversations" params=${question} />`}
      columns=${[
        { title: "conversation", class: "main", cell: (row) => html`<a class="row-link" href=${conversationHref(row.chat)}>${row.chat}</a>` },
        { title: "last call", ...sort("newest"), width: "8em", class: "nowrap", cell: (row) => html`<${Time} ms=${row.last_ms} />` },
        { title: "user", width: "8em", level: 2, cell: (row) => row.user },
        { title: "models", width: "24%", level: 3, cell: (row) => row.models.join(", ") },
        { title: "calls", ...sort("calls"), number: true, width: "5em", cell: (row) => format.formatCount(row.calls) },
        { title: "errors", ...sort("errors"), number: true, width: "5em", cell: (row) => html`<${ErrorCount} value=${row.errors} />` },
        { title: "in", number: true, width: "6em", level: 2, cell: (row) => html`<${Count} value=${row.input_tokens} />` },
        { title: "out", number: true, width: "6em", level: 2, cell: (row) => html`<${Count} value=${row.output_tokens} />` },
        { title: "cost", ...sort("cost"), number: true, width: "7em", cell: (row) => html`<${Cost} value=${row.cost} />` },
      ]} />
      ${next && html`<p class="dim">The ${conversations.length} newest conversations. <a href=${makeHref("/costs", { by: "chat" })}>The most expensive of all</a></p>`}`}<//>
  <//>`;
}

export function ConversationPage() {
  const { params } = useLocation();
  const chat = params.get("chat") || "";
  const answer = useApi(`/api/conversations/${encodeURIComponent(chat)}`, { limit: 1000 });
  return html`<${Page} title=${`Conversation ${chat}`}>
    <${Loading} answer=${answer}>${(data) => html`
      <${Stats} label="Sums of the conversation" items=${listSums(data)} />
      <${CallHistory} label="Calls of the conversation" calls=${data.calls} hide=${["chat"]}
        empty=${html`<${Empty}><p>No calls.</p><//>`} />`}<//>
  <//>`;
}

function listSums(data) {
  const calls = data.call_count ?? data.calls.length;
  const href = (words = [], changes = {}) => callsHref([], { q: [makeWord("chat", data.chat), ...words].join(" "), since: "all", until: null, ...changes });
  return [
    { value: html`<${Time} ms=${data.at_ms} />`, label: "first call" },
    { value: html`<${Time} ms=${data.last_ms} />`, label: "last call" },
    { value: format.formatCount(calls), label: calls === 1 ? "call" : "calls", key: "calls", href: href() },
    { value: format.formatCount(data.errors), label: data.errors === 1 ? "error" : "errors", key: "errors", bad: data.errors > 0, href: href(["error"]) },
    { value: format.formatShortCount(data.input_tokens), label: "in", href: href(["in>0"]) },
    { value: format.formatShortCount(data.output_tokens), label: "out", href: href(["out>0"]) },
    { value: format.formatCost(data.cost), label: "cost", href: href([], { order: "dearest" }) },
    data.user && { value: data.user, label: "user", href: callsHref([], { q: makeWord("user", data.user), since: "all" }) },
  ].filter(Boolean);
}
