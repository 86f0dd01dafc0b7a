// The table of calls, which Live, Run and Conversation share.
import { html } from "./preact.js";
import * as format from "./format.js";
import { changeHref, conversationHref, openHref, runHref, useLocation } from "./location.js";
import { CallBar } from "./chart.js";
import { Cost, Count, Table, Time } from "./parts.js";

// timeline: whether bars show when calls happened, not only how long they took.
export function CallTable({ calls, label, timeline, hide = [], order, open, empty }) {
  const startMs = timeline ? Math.min(...calls.map((call) => call.at_ms)) : undefined;
  const spanMs = timeline
    ? Math.max(...calls.map((call) => call.at_ms + call.duration_ms)) - startMs
    : Math.max(...calls.map((call) => call.duration_ms));
  const columns = makeColumns({ startMs, spanMs, order, timeline }).filter(({ name }) => !hide.includes(name));
  return html`<${Table} class="calls" label=${label} columns=${columns} rows=${calls} empty=${empty}
    rowKey=${(call) => call.id}
    rowClass=${(call) => (open === `${call.trace_id}/${call.span_id}` ? "open" : "")} />`;
}

const ORDERS = {
  time: (a, b) => a.at_ms - b.at_ms,
  dearest: (a, b) => (b.cost ?? -1) - (a.cost ?? -1),
  slowest: (a, b) => b.duration_ms - a.duration_ms,
};

// All calls of a run or conversation, in an order that the user chooses.
export function CallHistory({ calls, ...rest }) {
  const { params } = useLocation();
  const order = params.get("order") in ORDERS ? params.get("order") : "time";
  return html`<${CallTable} timeline calls=${[...calls].sort(ORDERS[order])} order=${order}
    open=${params.get("open")} ...${rest} />`;
}

function makeColumns({ startMs, spanMs, order, timeline }) {
  const sort = (name, direction = "descending") =>
    order ? { href: changeHref({ order: name }), sorted: order === name && direction } : {};
  return [
    { name: "time", title: "time", width: "7.5em", ...(timeline ? sort("time", "ascending") : sort("newest")), class: "nowrap",
      cell: (call) => html`<${Time} ms=${call.at_ms} />` },
    { name: "call", title: "call", class: "main", cell: (call) => html`<${CallLink} call=${call} />` },
    { name: "run", title: "run", width: "6em", level: 3,
      cell: (call) => call.run && html`<a class="plain" href=${runHref(call.run)}>${call.run_short}</a>` },
    { name: "chat", title: "conversation", width: "10em", level: 2,
      cell: (call) => call.chat && html`<a class="plain" href=${conversationHref(call.chat)}>${call.chat}</a>` },
    { name: "in", title: "in", number: true, width: "5em", hint: "input tokens, cached ones included",
      cell: (call) => html`<${Count} value=${call.input_tokens} />` },
    { name: "cached", title: "cached", number: true, width: "5em", level: 2, hint: "input tokens from the provider's cache",
      cell: (call) => html`<${Count} value=${call.cached_tokens} />` },
    { name: "out", title: "out", number: true, width: "4.5em", hint: "output tokens",
      cell: (call) => html`<${Count} value=${call.output_tokens} />` },
    { name: "cost", title: "cost", number: true, width: "6.8em", ...sort("dearest"),
      cell: (call) => html`<${Cost} value=${call.cost} reason=${call.cost_reason} status=${call.cost_status} />` },
    { name: "took", title: "took", number: true, width: "5.4em", ...sort("slowest"),
      cell: (call) => format.formatDuration(call.duration_ms) },
    { name: "bar", title: timeline ? "when" : "first token, rest", level: 3, width: "16%", class: "bar-cell",
      hint: "dark: time to the first token; light: the rest",
      cell: (call) => html`<${CallBar} call=${call} startMs=${startMs} spanMs=${spanMs} />` },
    { name: "status", title: "status", width: "8.5em", cell: (call) => html`<${Status} call=${call} />` },
  ];
}

function CallLink({ call }) {
  const model = call.model || call.host || "unknown model";
  return html`<a class="row-link" href=${openHref(call.trace_id, call.span_id)} title=${`${call.provider || ""} ${model}`}>
      <span class="dim">${call.operation || "call"}</span> ${model}</a>
    ${(call.tools || []).map((tool) => html` <span class="tag" key=${tool}>${tool}</span>`)}`;
}

export function Status({ call }) {
  const parts = [];
  if (call.error) parts.push(html`<span class="bad">${describeError(call)}</span>`);
  else if (call.status) parts.push(html`<span class="dim">${call.status}</span>`);
  if (call.retry) parts.push(html`<span class="warn">${parts.length ? ", " : ""}retry ${call.retry}</span>`);
  return parts.length ? html`<span title=${call.error}>${parts}</span>` : html`<span class="dim">ok</span>`;
}

function describeError({ error, status }) {
  return status && String(status) !== String(error) ? `${status} ${error}` : error;
}
