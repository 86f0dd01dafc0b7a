// Costs and tokens by model, user, project and more, over time.
import { html } from "../preact.js";
import * as format from "../format.js";
import { useApi, useQuestion } from "../api.js";
import { callsHref, changeHref, makeWord, useLocation } from "../location.js";
import { TimeChart } from "../chart.js";
import { Cost, Count, ErrorCount, Loading, NoCalls, Page, ShareBar, Stats, Table } from "../parts.js";

const DIMENSIONS = ["model", "user", "project", "provider", "service", "operation", "chat", "session", "organization", "host"];
const TITLES = { chat: "conversation" };
const COLOURS = ["part-1", "part-2", "part-3", "part-4"];
const HOUR = 3_600_000;
const MAX_BARS = 1000;

export function CostsPage() {
  const question = useQuestion();
  const { params } = useLocation();
  const by = DIMENSIONS.includes(params.get("by")) ? params.get("by") : "model";
  const answer = useApi("/api/totals", { ...question, by, sort: "cost", limit: 200 });
  const tabs = html`<nav class="tabs" aria-label="Group by">${DIMENSIONS.map((name) =>
    html`<a key=${name} href=${changeHref({ by: name })} aria-current=${name === by ? "page" : undefined}>${TITLES[name] || name}</a>`)}</nav>`;
  return html`<${Page} title="Costs" actions=${tabs}>
    <${Loading} answer=${answer}>${(data) => {
      if (!data.groups.length) return html`<${NoCalls} params=${question} />`;
      return html`<${Stats} label="Sums" items=${listSums(data.total)} />
        <${CostOverTime} question=${question} by=${by} groups=${data.groups} />
        <${Groups} by=${by} groups=${data.groups} total=${data.total} />`;
    }}<//>
  <//>`;
}

const listSums = (total) => [
  { value: format.formatCost(total.cost), label: "cost", href: callsHref([], { order: "dearest" }) },
  { value: format.formatCount(total.calls), label: "calls", href: callsHref([]) },
  { value: format.formatCost(total.cost_per_call), label: "a call", href: callsHref([]) },
  { value: format.formatShortCount(total.input_tokens), label: "in", href: callsHref("in>0") },
  { value: format.formatShare(total.cached_share), label: "cached", href: callsHref("cached>0") },
  { value: format.formatShortCount(total.output_tokens), label: "out", href: callsHref("out>0") },
  total.unpriced > 0 && { value: format.formatCount(total.unpriced), label: "without a price", href: callsHref("priced:unpriced") },
].filter(Boolean);

const nameGroup = (key) => key.filter((part) => part !== null).join(" ") || "none";
const rankColour = (index) => COLOURS[index] || "part-rest";
const toWords = (by, key) => (by === "model" ? [makeWord("provider", key[0]), makeWord("model", key[1])] : [makeWord(by, key[0])]);

function CostOverTime({ question, by, groups }) {
  const spanMs = measureRange(question);
  const period = spanMs <= 3 * 24 * HOUR ? "hour" : "day";
  const { data } = useApi("/api/totals", { ...question, by: [period, by], limit: 1000 });
  if (!data) return html`<div class="chart-space"></div>`;
  const start = spanMs === Infinity ? Infinity : (Number(question.until) || Date.now()) - spanMs;
  const { times, layers } = stackCosts(data.groups, groups, period, start);
  if (!times.length) return null;
  const sums = times.map((_, index) => layers[0].values[index]);
  return html`<${TimeChart} label=${`cost each ${period}`} tall times=${times} layers=${layers}
    stepMs=${period === "hour" ? HOUR : 24 * HOUR} formatAxis=${format.formatCost}
    describe=${(index) => format.formatCost(sums[index])} />`;
}

function measureRange({ since, until }) {
  const units = { m: 60_000, h: HOUR, d: 24 * HOUR, w: 168 * HOUR };
  const match = /^(\d+)([mhdw])$/.exec(since);
  if (match) return Number(match[1]) * units[match[2]];
  return since === "all" ? Infinity : (Number(until) || Date.now()) - Number(since);
}

// Each layer holds the sum of its group and of the groups above it in the table's order.
function stackCosts(cells, groups, period, rangeStart) {
  const names = groups.map(({ key }) => JSON.stringify(key));
  const costs = new Map();
  for (const { key: [time, ...key], cost } of cells) {
    const start = new Date(period === "hour" ? time.replace(" ", "T") : `${time}T00:00`).getTime();
    if (!costs.has(start)) costs.set(start, new Map());
    costs.get(start).set(JSON.stringify(key), cost || 0);
  }
  const step = period === "hour" ? HOUR : 24 * HOUR;
  const times = fillTimes([...costs.keys()].filter((time) => !Number.isNaN(time)), step, rangeStart);
  const count = Math.min(names.length, COLOURS.length);
  const read = (time, index) => costs.get(time)?.get(names[index]) || 0;
  const sumUp = (time, end) => names.slice(0, end).reduce((sum, _, index) => sum + read(time, index), 0);
  const layers = [];
  if (names.length > count) layers.push({ colour: "part-rest", values: times.map((time) => sumUp(time, names.length)) });
  for (let index = count - 1; index >= 0; index -= 1) {
    layers.push({ colour: COLOURS[index], values: times.map((time) => sumUp(time, index + 1)) });
  }
  return { times, layers };
}

// Adds the hours or days without costs, from the start of the range on.
function fillTimes(known, step, rangeStart) {
  if (!known.length) return [];
  const all = [...known].sort((a, b) => a - b);
  for (let time = all[0] - step; time > rangeStart - step && all.length < MAX_BARS; time -= step) all.unshift(time);
  for (let index = 1; index < all.length && all.length < MAX_BARS; index += 1) {
    if (all[index] - all[index - 1] > step * 1.5) all.splice(index, 0, all[index - 1] + step);
  }
  return all;
}

function Groups({ by, groups, total }) {
  return html`<${Table} label=${`Costs by ${by}`} rows=${groups.map((group, index) => ({ ...group, index }))}
    rowKey=${({ key }) => JSON.stringify(key)}
    columns=${[
      { title: TITLES[by] || by, class: "main", cell: ({ key, index }) => html`<span class=${`swatch ${rankColour(index)}`} aria-hidden="true"></span>
          <a class="row-link" href=${callsHref(toWords(by, key))}>${nameGroup(key)}</a>` },
      { title: "calls", number: true, width: "5.5em", cell: (row) => format.formatCount(row.calls) },
      { title: "errors", number: true, width: "5em", cell: (row) => html`<${ErrorCount} value=${row.errors} />` },
      { title: "in", number: true, width: "7em", level: 2, cell: (row) => html`<${Count} value=${row.input_tokens} />` },
      { title: "cached", number: true, width: "8em", level: 3, cell: (row) => html`<${ShareBar} value=${row.cached_share} />` },
      { title: "out", number: true, width: "6em", level: 2, cell: (row) => html`<${Count} value=${row.output_tokens} />` },
      { title: "p50", number: true, width: "5em", level: 3, cell: (row) => format.formatDuration(row.p50_ms) },
      { title: "p95", number: true, width: "5em", level: 2, cell: (row) => format.formatDuration(row.p95_ms) },
      { title: "a call", number: true, width: "6.5em", hint: "cost of a call", cell: (row) => html`<${Cost} value=${row.cost_per_call} />` },
      { title: "cost", number: true, width: "6.5em", cell: (row) => html`<${Cost} value=${row.cost} />` },
      { title: "share", number: true, width: "8em", level: 2, hint: "share of the whole cost",
        cell: (row) => html`<${ShareBar} value=${total.cost && row.cost !== null ? row.cost / total.cost : null} />` },
    ]} />`;
}
