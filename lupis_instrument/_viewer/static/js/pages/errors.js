// Failed calls by their error, and the rate limits that providers report.
import { html } from "../preact.js";
import * as format from "../format.js";
import { useApi, useQuestion } from "../api.js";
import { callsHref, makeWord, traceHref } from "../location.js";
import { Empty, Loading, NoCalls, Page, ShareBar, Table, Time } from "../parts.js";

const MEANINGS = {
  400: "bad request", 401: "key refused", 403: "forbidden", 404: "not found", 408: "timeout",
  413: "request too large", 429: "rate limit", 500: "server error", 502: "bad gateway",
  503: "unavailable", 504: "gateway timeout", 529: "overloaded",
};
const LOW = 0.1;

export function ErrorsPage() {
  const question = useQuestion();
  const answer = useApi("/api/errors", question);
  return html`<${Page} title="Errors and limits">
    <${Loading} answer=${answer}>${({ groups, limits }) => html`<${ErrorGroups} groups=${groups} question=${question} />
      <h2>Rate limits</h2><${Limits} limits=${limits} />`}<//>
  <//>`;
}

function ErrorGroups({ groups, question }) {
  const empty = question.q ? html`<${NoCalls} thing="errors" params=${question} />`
    : html`<${Empty}><p><b>No errors in this time range.</b></p><//>`;
  return html`<${Table} label="Errors" rows=${groups} empty=${empty}
    rowKey=${(row) => JSON.stringify([row.error, row.provider, row.model, row.host])}
    columns=${[
      { title: "error", width: "26%", cell: (row) => html`<a class="row-link" href=${callsHref(toWords(row))}>
          <span class="bad">${row.error}</span> <span class="dim">${MEANINGS[row.status] || ""}</span></a>` },
      { title: "model", class: "main", cell: (row) => `${row.provider || ""} ${row.model || row.host || ""}`.trim() || format.UNKNOWN },
      { title: "calls", number: true, width: "6em", cell: (row) => format.formatCount(row.calls) },
      { title: "first", width: "9em", level: 2, class: "nowrap", cell: (row) => html`<${Time} ms=${row.first_ms} />` },
      { title: "last", width: "9em", class: "nowrap", cell: (row) => html`<${Time} ms=${row.last_ms} />` },
      { title: "last trace", width: "8em", cell: (row) => row.last_trace_id && html`<a class="plain" href=${traceHref(row.last_trace_id)}>${row.last_trace_id.slice(0, 8)}</a>` },
    ]} />`;
}

const toWords = ({ error, provider, model }) =>
  [makeWord("error", error), provider && makeWord("provider", provider), model && makeWord("model", model)].filter(Boolean);

function Limits({ limits }) {
  return html`<${Table} label="Rate limits" rows=${limits}
    empty=${html`<${Empty}><p><b>No provider reported a rate limit in this time range.</b></p><p>In a terminal: <code>lupis limits</code></p><//>`}
    columns=${[
      { title: "provider", width: "9em", cell: (row) => row.provider },
      { title: "model", class: "main", cell: (row) => row.model },
      { title: "of", width: "10em", level: 2, cell: (row) => row.kind },
      { title: "limit", number: true, width: "7em", cell: (row) => format.formatCount(row.limit) },
      { title: "remaining", number: true, width: "7em", cell: (row) => format.formatCount(row.remaining) },
      { title: "left", number: true, width: "8em", level: 2, cell: (row) => html`<${ShareBar} value=${share(row.remaining, row.limit)} />` },
      { title: "lowest", number: true, width: "7em", hint: "the lowest remaining amount", cell: (row) =>
          html`<span class=${(share(row.lowest_remaining, row.limit) ?? 1) < LOW ? "bad" : ""}>${format.formatCount(row.lowest_remaining)}</span>` },
      { title: "last report", width: "8em", class: "nowrap", cell: (row) => html`<${Time} ms=${row.at_ms} />` },
    ]} />`;
}

const share = (part, whole) => (whole && part !== null ? part / whole : null);
