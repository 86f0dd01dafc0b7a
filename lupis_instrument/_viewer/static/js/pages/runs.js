// The launches of programs, one run, and two runs side by side.
import { html, useState } from "../preact.js";
import * as format from "../format.js";
import { useApi, useQuestion } from "../api.js";
import { callsHref, changeHref, makeHref, makeWord, navigate, runHref, traceHref, useLocation } from "../location.js";
import { CallHistory } from "../calls.js";
import { Command, Cost, Count, Empty, ErrorCount, Loading, NoCalls, Page, ShareBar, Stats, Table, Time, Turns } from "../parts.js";

const MAX_CHOSEN = 2;
const compareHref = (a, b) => makeHref("/compare", { q: null, a, b });
const withCalls = (run, words = []) => callsHref([makeWord("run", run.short), ...words], { since: "all", until: null, q: [makeWord("run", run.short), ...words].join(" ") });

export function RunsPage() {
  const { since } = useQuestion();
  const answer = useApi("/api/runs", { since, limit: 200 });
  const [chosen, setChosen] = useState([]);
  const choose = (id) => setChosen(chosen.includes(id) ? chosen.filter((other) => other !== id) : [...chosen, id].slice(-MAX_CHOSEN));
  const compare = html`<button type="button" disabled=${chosen.length < MAX_CHOSEN}
    onClick=${() => navigate(compareHref(...orderRuns(answer.data.runs, chosen)))}>Compare the two chosen runs</button>`;
  return html`<${Page} title="Runs" actions=${compare}>
    <${Loading} answer=${answer}>${({ runs }) => html`<${Table} label="Runs" rows=${runs} rowKey=${(run) => run.id}
      empty=${html`<${NoCalls} thing="runs" params=${{ since }} />`}
      columns=${[
        { title: html`<span class="unseen">choose</span>`, width: "2.4em", class: "choose", cell: (run) => html`<input type="checkbox"
            aria-label=${`choose run ${run.short}`} checked=${chosen.includes(run.id)} onChange=${() => choose(run.id)} />` },
        { title: "run", width: "6em", cell: (run) => html`<a class="row-link" href=${runHref(run.id)}>${run.short}</a>` },
        { title: "start", width: "8em", class: "nowrap", cell: (run) => html`<${Time} ms=${run.at_ms} />` },
        { title: "command", class: "main", cell: (run) => html`<code title=${run.command}>${run.command || run.service || format.UNKNOWN}</code>` },
        { title: "project", width: "8em", level: 2, cell: (run) => run.project },
        { title: "processes", number: true, width: "6em", level: 3, cell: (run) => format.formatCount(run.processes) },
        { title: "calls", number: true, width: "5em", cell: (run) => html`<a class="plain" href=${withCalls(run)}>${format.formatCount(run.calls)}</a>` },
        { title: "errors", number: true, width: "5em", cell: (run) => run.errors
            ? html`<a class="plain" href=${withCalls(run, ["error"])}><${ErrorCount} value=${run.errors} /></a>` : html`<${ErrorCount} value=${0} />` },
        { title: "in", number: true, width: "6em", level: 2, cell: (run) => html`<${Count} value=${run.input_tokens} />` },
        { title: "cached", width: "8em", number: true, level: 3, cell: (run) => html`<${ShareBar} value=${run.cached_share} />` },
        { title: "out", number: true, width: "6em", level: 2, cell: (run) => html`<${Count} value=${run.output_tokens} />` },
        { title: "cost", number: true, width: "6.5em", cell: (run) => html`<${Cost} value=${run.cost} />` },
        { title: "time", number: true, width: "6em", cell: (run) => format.formatDuration(run.duration_ms) },
      ]} />`}<//>
  <//>`;
}

// The older of two runs comes first.
const orderRuns = (runs, chosen) => runs.filter((run) => chosen.includes(run.id)).map((run) => run.id).reverse();

export function RunPage({ id }) {
  const { params } = useLocation();
  const answer = useApi(`/api/runs/${encodeURIComponent(id)}`, { limit: 1000, q: params.get("q") });
  const run = answer.data;
  return html`<${Page} title=${run ? `Run ${run.short}` : "Run"} lead=${run && html`<code>${run.command || run.service}</code>`}
      actions=${run && html`<a class="button" href=${compareHref(null, run.id)}>Compare</a>`}>
    <${Loading} answer=${answer}>${(data) => html`
      <${Stats} label="Sums of the run" items=${listSums(data)} />
      <${ByModel} run=${data} />
      <${Turns} turns=${data.turns} />
      <h2>Calls</h2>
      <${CallHistory} label="Calls of the run" calls=${data.calls} hide=${["run"]}
        empty=${html`<${Empty}><p>No call of this run matches.</p><//>`} />
      ${data.next && html`<p><a href=${withCalls(data)}>All ${format.countNoun(data.call_count ?? data.calls.length, "call")}</a></p>`}`}<//>
  <//>`;
}

function listSums(run) {
  const calls = run.call_count ?? run.calls.length;
  const dearest = run.next ? null : run.calls.reduce((first, call) => (call.cost > (first?.cost ?? 0) ? call : first), null);
  return [
    { value: html`<${Time} ms=${run.at_ms} />`, label: "start" },
    { value: format.formatDuration(run.duration_ms), label: "time" },
    { value: format.formatCount(calls), label: calls === 1 ? "call" : "calls", key: "calls", href: withCalls(run) },
    { value: format.formatCount(run.errors), label: run.errors === 1 ? "error" : "errors", key: "errors", bad: run.errors > 0, href: withCalls(run, ["error"]) },
    { value: format.formatShortCount(run.input_tokens), label: "in", href: withCalls(run, ["in>0"]) },
    { value: format.formatShare(run.cached_share), label: "cached", href: withCalls(run, ["cached>0"]) },
    { value: format.formatShortCount(run.output_tokens), label: "out", href: withCalls(run, ["out>0"]) },
    { value: format.formatCost(run.cost), label: "cost", href: callsHref([], { q: makeWord("run", run.short), since: "all", until: null, order: "dearest" }) },
    dearest && calls > 1 && { value: format.formatCost(dearest.cost), label: "dearest call", key: "dearest", href: traceHref(dearest.trace_id, dearest.span_id) },
    { value: format.formatCount(run.processes), label: run.processes === 1 ? "process" : "processes", key: "processes" },
    run.project && { value: run.project, label: "project" },
  ].filter(Boolean);
}

function ByModel({ run }) {
  const { data } = useApi("/api/totals", { by: "model", sort: "cost", since: "all", q: makeWord("run", run.short) });
  if (!data || data.groups.length < 2) return null;
  return html`<h2>By model</h2><${Table} label="Sums by model" rows=${data.groups} rowKey=${(row) => row.key.join("/")} columns=${[
    { title: "model", class: "main", cell: ({ key }) => html`<a class="row-link" href=${withCalls(run, [makeWord("model", key.at(-1))])}>${key.join(" ") || format.UNKNOWN}</a>` },
    { title: "calls", number: true, width: "5em", cell: (row) => format.formatCount(row.calls) },
    { title: "errors", number: true, width: "5em", cell: (row) => html`<${ErrorCount} value=${row.errors} />` },
    { title: "in", number: true, width: "7em", cell: (row) => html`<${Count} value=${row.input_tokens} />` },
    { title: "cached", number: true, width: "8em", level: 2, cell: (row) => html`<${ShareBar} value=${row.cached_share} />` },
    { title: "out", number: true, width: "7em", cell: (row) => html`<${Count} value=${row.output_tokens} />` },
    { title: "cost", number: true, width: "7em", cell: (row) => html`<${Cost} value=${row.cost} />` },
    { title: "p95", number: true, width: "6em", cell: (row) => format.formatDuration(row.p95_ms) },
  ]} />`;
}

export function ComparePage() {
  const { params } = useLocation();
  const list = useApi("/api/runs", { since: "all", limit: 100 });
  return html`<${Page} title="Compare two runs">
    <${Loading} answer=${list}>${({ runs }) => html`<${Comparison} runs=${runs} a=${params.get("a")} b=${params.get("b")} />`}<//>
  <//>`;
}

function Comparison({ runs, a, b }) {
  if (runs.length < MAX_CHOSEN) return html`<${Empty}><p><b>Two runs are needed.</b></p><p>Run your program once more:</p><${Command}>lupis-run python my_agent.py<//><//>`;
  const position = (id) => runs.findIndex((run) => run.id === id || run.short === id);
  const second = b || runs[position(a) === 0 ? 1 : 0].id;
  const first = a || runs[Math.min(position(second) + 1, runs.length - 1)].id;
  const choice = (name, value, text) => html`<label>${text} <select value=${runs[position(value)]?.id || value} onChange=${(event) => navigate(changeHref({ a: first, b: second, [name]: event.target.value }), { replace: true })}>
    ${position(value) < 0 && html`<option value=${value}>${value}</option>`}
    ${runs.map((run) => html`<option key=${run.id} value=${run.id}>${run.short}  ${format.formatTime(run.at_ms)}  ${(run.command || run.service || "").slice(0, 60)}</option>`)}
  </select></label>`;
  return html`<form class="choices" onSubmit=${(event) => event.preventDefault()}>${choice("a", first, "before")} ${choice("b", second, "after")}</form>
    <${Changes} a=${first} b=${second} />`;
}

const UNCOMPARED = "\u00a0";
const WORSE = new Set(["errors", "cost", "p95_ms"]); // more of these is worse
const MEASURES = [
  ["calls", "calls", format.formatCount],
  ["errors", "errors", format.formatCount],
  ["input_tokens", "in", format.formatCount],
  ["output_tokens", "out", format.formatCount],
  ["cost", "cost", format.formatCost],
  ["p95_ms", "p95", format.formatDuration],
];

function Changes({ a, b }) {
  const answer = useApi("/api/compare", { a, b });
  return html`<${Loading} answer=${answer}>${(data) => {
    const total = { model: "all models", isTotal: true };
    for (const [name] of MEASURES) total[name] = [data.a[name], data.b[name]];
    total.p95_ms = [null, null];
    return html`<${Table} class="compare" label="Changes by model" rows=${[...data.rows, total]} rowClass=${(row) => (row.isTotal ? "total" : "")}
      columns=${[
        { title: "model", class: "main", cell: (row) => row.isTotal
          ? html`<b>all models</b> <a href=${runHref(data.a.id)}>${data.a.short}</a> → <a href=${runHref(data.b.id)}>${data.b.short}</a>`
          : html`<a class="row-link" href=${withCalls(data.b, [makeWord("model", row.model)])}>${row.provider} ${row.model}</a>` },
        ...MEASURES.map(([name, title, show]) => ({ title, number: true, width: "12%", level: name === "output_tokens" ? 2 : undefined,
          cell: (row) => html`<${Change} pair=${row[name]} show=${show} isWorse=${WORSE.has(name)} />` })),
      ]} />`;
  }}<//>`;
}

function Change({ pair: [before, after], show, isWorse }) {
  const isKnown = before !== null && after !== null && before !== undefined && after !== undefined;
  const share = isKnown && before ? (after - before) / before : null;
  const text = !isKnown ? UNCOMPARED : before === after ? "same" : share === null ? "new" : `${share > 0 ? "+" : "−"}${Math.abs(share * 100).toFixed(Math.abs(share) < 0.1 ? 1 : 0)} %`;
  return html`<span class="change"><span>${show(before)} → <b>${show(after)}</b></span><span class=${isKnown && isWorse && after > before ? "warn" : "dim"}>${text}</span></span>`;
}
