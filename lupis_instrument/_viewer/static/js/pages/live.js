// Calls as they finish, with their sums and their number over time.
import { html, useEffect, useRef, useState } from "../preact.js";
import * as format from "../format.js";
import { fetchJson, makeUrl, useApi, useQuestion } from "../api.js";
import { callsHref, changeHref, makeHref, makeWord, useLocation } from "../location.js";
import { TimeChart } from "../chart.js";
import { CallTable } from "../calls.js";
import { Loading, NoCalls, Page, Problem, Stats } from "../parts.js";

const PAGE_SIZE = 100;
const BARS = { "15m": 60, "1h": 60, "24h": 96, "7d": 84, "30d": 60 }; // so that a bar is a round time
const MAX_ROWS = 2000;
const NO_CALLS = { calls: [], next: undefined };

export function LivePage() {
  const question = useQuestion();
  const { params } = useLocation();
  const order = params.get("order") || "newest";
  return html`<${Page} title="Calls">
    <${Summary} question=${question} />
    <${CallsOverTime} question=${question} />
    <${Calls} question=${question} order=${order} open=${params.get("open")} />
  <//>`;
}

function Summary({ question }) {
  const answer = useApi("/api/summary", question);
  return html`<${Loading} answer=${answer}>${(sums) => html`<${Stats} label="Sums of the calls" items=${listSums(sums)} />`}<//>`;
}

function listSums(sums) {
  const { total, groups } = sums.errors;
  const more = total > 0 && html`<span class="groups">${groups.map(({ error, calls }) =>
    html` <a key=${error} href=${callsHref(makeWord("error", error))}>${format.formatCount(calls)} × ${error}</a>`)}</span>`;
  return [
    { value: format.formatCount(sums.calls), label: sums.calls === 1 ? "call" : "calls", key: "calls", href: changeHref({ order: null }) },
    { value: format.formatShortCount(sums.input_tokens), label: "in", href: makeHref("/costs") },
    { value: format.formatShare(sums.cached_share), label: "cached", href: makeHref("/cache") },
    { value: format.formatShortCount(sums.output_tokens), label: "out", href: makeHref("/costs") },
    { value: format.formatCost(sums.cost), label: "cost", href: changeHref({ order: "dearest" }) },
    sums.unpriced > 0 && { value: format.formatCount(sums.unpriced), label: "without a price", href: callsHref("priced:unpriced") },
    { value: format.formatCount(total), label: total === 1 ? "error" : "errors", key: "errors", bad: total > 0, href: callsHref("error"), more: more && html`<span class="level-2">${more}</span>` },
    { value: format.formatDuration(sums.p50_ms), label: "p50", level: 2, href: changeHref({ order: "slowest" }) },
    { value: format.formatDuration(sums.p95_ms), label: "p95", href: changeHref({ order: "slowest" }) },
    { value: format.formatDuration(sums.first_token_p50_ms), label: "first token", hint: "the median time to the first token", href: callsHref("first>0") },
  ].filter(Boolean);
}

function CallsOverTime({ question }) {
  const { data } = useApi("/api/series", { ...question, points: (!question.until && BARS[question.since]) || 90 });
  if (!data) return html`<div class="chart-space"></div>`;
  const { points, step_ms: stepMs } = data;
  const label = `calls each ${format.formatDuration(stepMs).replace(/ 00 [ms]$/, "")}, errors in red`;
  return html`<${TimeChart} label=${label} stepMs=${stepMs}
    times=${points.map((point) => point.at_ms)}
    layers=${[
      { colour: "failed", values: points.map((point) => point.calls) },
      { colour: "done", values: points.map((point) => point.calls - point.errors) },
    ]}
    formatAxis=${(value) => format.formatShortCount(value)}
    describe=${(index) => {
      const { calls, errors, cost } = points[index];
      return `${format.countNoun(calls, "call")}, ${format.countNoun(errors, "error")}, ${format.formatCost(cost)}`;
    }} />`;
}

// The newest calls, and older ones after "Show more". New calls wait while you read further down.
function Calls({ question, order, open }) {
  const params = { ...question, order, limit: PAGE_SIZE };
  const answer = useApi("/api/calls", params);
  const [stored, setOlder] = useState(NO_CALLS);
  const [problem, setProblem] = useState(null);
  const shown = useRef(NO_CALLS);
  const [, update] = useState(0);
  const newest = answer.data?.calls || [];
  const older = stored.url === answer.url ? stored : NO_CALLS;
  const isReading = scrollY > 160 && order === "newest" && shown.current.url === answer.url;
  const known = new Set(shown.current.calls.map((call) => call.id));
  const waiting = isReading ? newest.filter((call) => !known.has(call.id)).length : 0;
  if (!isReading) shown.current = { calls: newest, url: answer.url };
  const calls = order === "newest" ? mergeCalls(shown.current.calls, older.calls) : newest;

  useEffect(() => {
    const atTop = () => scrollY <= 160 && update((count) => count + 1);
    addEventListener("scroll", atTop, { passive: true });
    return () => removeEventListener("scroll", atTop);
  }, []);

  const next = older.next === undefined ? answer.data?.next : older.next;
  const loadMore = async () => {
    try {
      const page = await fetchJson(makeUrl("/api/calls", { ...params, cursor: next }));
      setOlder({ calls: mergeCalls(calls, page.calls), next: page.next, url: answer.url });
    } catch (error) {
      setProblem(error);
    }
  };
  return html`<${Loading} answer=${answer}>${() => html`
    ${waiting > 0 && html`<button type="button" class="waiting" onClick=${() => scrollTo(0, 0)}>${format.countNoun(waiting, "new call")}: to the top</button>`}
    <${CallTable} label="Calls" calls=${calls} order=${order} open=${open} empty=${html`<${NoCalls} params=${question} />`} />
    <${Problem} error=${problem} />
    ${next && calls.length < MAX_ROWS && html`<p><button type="button" onClick=${loadMore}>Show more</button></p>`}
    ${order !== "newest" && calls.length >= PAGE_SIZE && html`<p class="dim">The first ${PAGE_SIZE}. <a href=${changeHref({ order: null })}>Show the newest</a></p>`}`}<//>`;
}

function mergeCalls(first, second) {
  const byId = new Map([...second, ...first].map((call) => [call.id, call]));
  return [...byId.values()].sort((a, b) => b.at_ms - a.at_ms || b.id - a.id);
}
