// A trace: its waterfall, and the details of one span.
import { html, useState } from "./preact.js";
import * as format from "./format.js";
import { callsHref, conversationHref, makeWord, runHref } from "./location.js";
import { CallBar } from "./chart.js";
import { Cost, Table, Time } from "./parts.js";
import { Status } from "./calls.js";
import { explainCost, groupAttributes, listRows, measureSpans } from "./spans.js";
import { copyText, makeMarkdown } from "./markdown.js";

const ICONS = { call: "◆", tool: "▲", agent: "●", http: "⇄", database: "▤", message: "✉", step: "○" };

export function Waterfall({ spans, selected, spanHref }) {
  const [unfolded, setUnfolded] = useState(new Set());
  const { startMs, spanMs } = measureSpans(spans);
  const rows = listRows(spans, unfolded);
  const toggle = (id) => {
    const next = new Set(unfolded);
    if (!next.delete(id)) next.add(id);
    setUnfolded(next);
  };
  const indent = (row) => ({ paddingLeft: `${Math.min(row.depth, 12) * 14}px` });
  const columns = [
    { title: "span", class: "main", width: "44%", cell: (row) => row.span
      ? html`<${SpanName} row=${row} href=${spanHref(row.span.span_id)} style=${indent(row)} />`
      : html`<span style=${indent(row)} class="span-name"><button type="button" class="fold" aria-expanded=${row.isOpen}
          onClick=${() => toggle(row.fold)}>${row.isOpen ? "▾" : "▸"} ${format.countNoun(row.spans.length, "other span")}</button></span>` },
    { title: "tokens", number: true, level: 3, width: "7.5em", cell: ({ span }) => span?.is_call &&
        `${format.formatCount(span.call.input_tokens)} → ${format.formatCount(span.call.output_tokens)}` },
    { title: "cost", number: true, width: "6em", cell: ({ span }) => span?.is_call &&
        html`<${Cost} value=${span.call.cost} reason=${span.call.cost_reason} status=${span.call.cost_status} />` },
    { title: "took", number: true, width: "5em", cell: ({ span }) => span && format.formatDuration(span.duration_ms) },
    { title: html`<span class="axis"><span>0</span><span>${format.formatDuration(spanMs)}</span></span>`, class: "bar-cell",
      cell: ({ span }) => span && html`<${CallBar} call=${span} startMs=${startMs} spanMs=${spanMs} />` },
  ];
  return html`<${Table} class="waterfall" label="Waterfall of the spans" columns=${columns} rows=${rows}
    rowKey=${(row) => row.span?.span_id || `fold-${row.fold}`}
    rowClass=${(row) => [row.span?.span_id === selected && row.span ? "open" : "", row.span?.is_call ? "is-call" : ""].join(" ")} />`;
}

function SpanName({ row: { span, kind }, href, style }) {
  return html`<span class="span-name" style=${style}>
    <a class="row-link" href=${href} title=${span.name}><span class=${`icon ${kind}`} aria-hidden="true">${ICONS[kind]}</span>
      <span class="unseen">${kind} </span>${span.name}</a>
    ${span.error && html` <span class="bad">${span.error}</span>`}
    ${(span.call?.tools || []).map((tool) => html` <span class="tag" key=${tool}>${tool}</span>`)}
  </span>`;
}

export function SpanDetails({ span, startMs }) {
  const { call } = span;
  return html`<section class="details" aria-label="Details of the span">
    <h2>${span.name}</h2>
    <dl class="facts">
      <${Fact} name="kind">${span.is_call ? "LLM call" : span.kind}${call?.stream ? ", stream" : ""}<//>
      ${span.error && html`<${Fact} name="error"><span class="bad">${span.error}</span>${span.status_message && span.status_message !== span.error ? ` ${span.status_message}` : ""}<//>`}
      ${call && html`<${CallFacts} call=${call} />`}
      <${Fact} name="start"><${Time} ms=${span.at_ms} full /> (+${format.formatDuration(span.at_ms - startMs)})<//>
      <${Fact} name="took">${format.formatDuration(span.duration_ms)}${call && call.first_token_ms !== null
        ? html`, first token after ${format.formatDuration(call.first_token_ms)}` : ""}<//>
    </dl>
    ${call && html`<${Price} call=${call} attributes=${span.attributes} />`}
    ${span.events.length > 0 && html`<${SpanEvents} span=${span} />`}
    ${groupAttributes(span.attributes).map(([title, rows]) => html`<details key=${title} open=${title !== "HTTP" && title !== "Cost"}>
      <summary>${title} <span class="dim">${rows.length}</span></summary>
      <${Attributes} rows=${rows} />
    </details>`)}
  </section>`;
}

const Fact = ({ name, children }) => html`<div><dt>${name}</dt><dd>${children}</dd></div>`;

function CallFacts({ call }) {
  const link = (field, value, href) => value &&
    html`<${Fact} name=${field}><a href=${href || callsHref(makeWord(field, value), { q: makeWord(field, value) })}>${value}</a><//>`;
  return html`
    ${link("model", call.model)}
    ${link("provider", call.provider)}
    <${Fact} name="status"><${Status} call=${call} /><//>
    <${Fact} name="tokens">${format.formatCount(call.input_tokens)} in${call.cached_tokens
      ? ` (${format.formatCount(call.cached_tokens)} cached)` : ""}, ${format.formatCount(call.output_tokens)} out${call.reasoning_tokens
      ? ` (${format.formatCount(call.reasoning_tokens)} reasoning)` : ""}<//>
    ${call.tools?.length > 0 && html`<${Fact} name="tools called">${call.tools.join(", ")}<//>`}
    ${link("conversation", call.chat, call.chat && conversationHref(call.chat))}
    ${link("run", call.run_short, call.run && runHref(call.run))}
    ${link("user", call.user)} ${link("project", call.project)}
    ${link("fingerprint", call.fingerprint)}`;
}

function Price({ call, attributes }) {
  const { lines, estimate, source, catalog } = explainCost(call, attributes);
  const origin = { reported: "The provider stated this cost.", prices_file: "By your own prices." }[source] || (catalog && `By the catalog ${catalog}.`);
  return html`<section class="price">
    <h3>Price</h3>
    ${call.cost === null
      ? html`<p>No price is known${call.cost_reason ? `: ${call.cost_reason}` : ""}. <code>lupis prices ${call.model || "MODEL"}</code> shows the prices of a model.</p>`
      : html`<table class="sum"><caption class="unseen">The price of the call</caption>
          <thead class="unseen"><tr><th scope="col">part</th><th scope="col">tokens × price</th><th scope="col">cost</th></tr></thead>
          <tbody>${lines.map(({ part, tokens, cost }) => html`<tr key=${part}>
            <th scope="row">${part}</th>
            <td class="number">${tokens ? `${format.formatCount(tokens)} × ${format.formatRate(cost, tokens)} / M` : ""}</td>
            <td class="number">${format.formatExactCost(cost)}</td></tr>`)}
            <tr class="total"><th scope="row">${call.cost_status === "partial" ? "known part" : "cost"}</th><td></td><td class="number">${format.formatExactCost(call.cost)}</td></tr>
          </tbody></table>`}
    <p class="dim">${origin} ${estimate !== null && `The catalog's prices give ${format.formatCost(estimate)}.`} ${call.cost !== null && call.cost_reason ? `${call.cost_reason}.` : ""}</p>
  </section>`;
}

function SpanEvents({ span }) {
  return html`<section><h3>Events</h3>
    ${span.events.map((event, index) => html`<div class="event" key=${index}>
      <p><b>${event.name}</b> <span class="dim">+${format.formatDuration(Math.max(0, event.at_ms - span.at_ms))}</span></p>
      <${Attributes} rows=${Object.entries(event.attributes || {})} />
    </div>`)}
  </section>`;
}

function Attributes({ rows }) {
  return html`<dl class="attributes">
    ${rows.map(([name, value]) => html`<div key=${name}><dt>${name}</dt><dd>${format.formatValue(value)}</dd></div>`)}
  </dl>`;
}

export function CopyButtons({ trace }) {
  const [copied, setCopied] = useState("");
  const copy = async (kind, text) => {
    await copyText(text);
    setCopied(kind);
    setTimeout(() => setCopied(""), 2000);
  };
  return html`
    <button type="button" onClick=${() => copy("Markdown", makeMarkdown(trace))}>Copy as Markdown</button>
    <button type="button" onClick=${() => copy("JSON", JSON.stringify(trace, null, 2))}>Copy as JSON</button>
    <span class="dim" role="status">${copied && `${copied} copied`}</span>`;
}
