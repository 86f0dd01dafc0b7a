// The share of cached tokens, the money that caching saved, and repeated requests.
import { html } from "../preact.js";
import * as format from "../format.js";
import { useApi, useQuestion } from "../api.js";
import { callsHref, makeWord, traceHref } from "../location.js";
import { Cost, Count, Empty, Loading, NoCalls, Page, ShareBar, Stats, Table } from "../parts.js";

export function CachePage() {
  const question = useQuestion();
  const answer = useApi("/api/cache", question);
  return html`<${Page} title="Cache">
    <${Loading} answer=${answer}>${(data) => (data.by_model.length
      ? html`<${Stats} label="Sums" items=${listSums(data)} />
        <h2>By model</h2><${Models} rows=${data.by_model} />
        <h2>Repeated requests</h2><${Repeats} rows=${data.repeated} />`
      : html`<${NoCalls} params=${question} />`)}<//>
  <//>`;
}

const listSums = (data) => [
  { value: format.formatShare(data.cached_share), label: "of the input was cached", href: callsHref("cached>0") },
  { value: format.formatCost(data.saved), label: "saved by caching", hint: "the price of cached tokens as plain input, minus their own price", href: callsHref("cached>0") },
  { value: format.formatCost(data.could_save), label: "spent on repeated requests", hint: "the cost of identical requests after the first of each", href: "#repeated" },
];

function Models({ rows }) {
  return html`<${Table} label="Cache by model" rows=${rows} rowKey=${(row) => `${row.provider}/${row.model}`} columns=${[
    { title: "model", class: "main", cell: (row) => html`<a class="row-link" href=${callsHref([makeWord("model", row.model), "cached>0"])}>${row.provider} ${row.model}</a>` },
    { title: "calls", number: true, width: "6em", cell: (row) => format.formatCount(row.calls) },
    { title: "in", number: true, width: "8em", cell: (row) => html`<${Count} value=${row.input_tokens} />` },
    { title: "cached", number: true, width: "8em", cell: (row) => html`<${Count} value=${row.cached_tokens} />` },
    { title: "share", number: true, width: "9em", cell: (row) => html`<${ShareBar} value=${row.cached_share} />` },
    { title: "cost", number: true, width: "8em", level: 2, cell: (row) => html`<${Cost} value=${row.cost} />` },
    { title: "saved", number: true, width: "8em", cell: (row) => html`<${Cost} value=${row.saved} />` },
  ]} />`;
}

function Repeats({ rows }) {
  return html`<div id="repeated"><${Table} label="Repeated requests" rows=${rows} rowKey=${(row) => row.fingerprint}
    empty=${html`<${Empty}><p><b>No request was sent twice in this time range.</b></p><//>`}
    columns=${[
      { title: "request", width: "12em", cell: (row) => html`<a class="row-link" href=${callsHref(makeWord("fingerprint", row.fingerprint))}>${row.fingerprint.slice(0, 12)}</a>` },
      { title: "model", class: "main", cell: (row) => [row.provider, row.model].filter(Boolean).join(" ") },
      { title: "calls", number: true, width: "6em", cell: (row) => format.formatCount(row.calls) },
      { title: "retries", number: true, width: "6em", level: 2, cell: (row) => html`<${Count} value=${row.retries} />` },
      { title: "cost", number: true, width: "8em", cell: (row) => html`<${Cost} value=${row.cost} />` },
      { title: "repeats cost", number: true, width: "8em", level: 2, hint: "the cost without the first request", cell: (row) => html`<${Cost} value=${row.repeated_cost} />` },
      { title: "last trace", width: "8em", cell: (row) => row.last_trace_id && html`<a class="plain" href=${traceHref(row.last_trace_id)}>${row.last_trace_id.slice(0, 8)}</a>` },
    ]} /></div>`;
}
