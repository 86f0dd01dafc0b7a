// One trace: the waterfall on the left, the details of a span on the right.
import { html } from "../preact.js";
import * as format from "../format.js";
import { useApi } from "../api.js";
import { callsHref, changeHref, conversationHref, makeWord, runHref, useLocation } from "../location.js";
import { addUp, measureSpans } from "../spans.js";
import { CopyButtons, SpanDetails, Waterfall } from "../trace_view.js";
import { Loading, Page, Stats, Time, Turns } from "../parts.js";

export function TracePage({ id }) {
  const { params } = useLocation();
  const answer = useApi(`/api/traces/${encodeURIComponent(id)}`);
  return html`<${Page} title=${`Trace ${id.slice(0, 8)}`} actions=${answer.data && html`<${CopyButtons} trace=${answer.data} />`}>
    <${Loading} answer=${answer}>${(trace) => {
      const { startMs } = measureSpans(trace.spans);
      const span = trace.spans.find(({ span_id: span }) => span === params.get("span")) || trace.spans.find((span) => span.is_call) || trace.spans[0];
      return html`<${Stats} label="Sums of the trace" items=${listSums(trace, id)} />
        <${Turns} turns=${trace.turns} />
        <div class="split">
          <${Waterfall} spans=${trace.spans} selected=${span.span_id} spanHref=${(span) => changeHref({ span })} />
          <${SpanDetails} span=${span} startMs=${startMs} />
        </div>
        ${trace.omitted > 0 && html`<p class="dim">${format.countNoun(trace.omitted, "span")} more are not shown.</p>`}`;
    }}<//>
  <//>`;
}

function listSums({ spans }, id) {
  const href = (word = "", changes = {}) => callsHref([], { q: `${makeWord("trace", id)} ${word}`.trim(), since: "all", until: null, ...changes });
  const { startMs, spanMs } = measureSpans(spans);
  const sums = addUp(spans);
  const read = (name) => spans.find((span) => span.call?.[name])?.call[name];
  const [chat, run] = [read("chat"), read("run")];
  return [
    { value: html`<${Time} ms=${startMs} full />`, label: "start" },
    { value: format.formatDuration(spanMs), label: "time" },
    { value: format.formatCount(spans.length), label: spans.length === 1 ? "span" : "spans", key: "spans" },
    { value: format.formatCount(sums.calls), label: sums.calls === 1 ? "call" : "calls", key: "calls", href: href() },
    { value: format.formatShortCount(sums.input), label: "in", href: href("in>0") },
    { value: format.formatShortCount(sums.output), label: "out", href: href("out>0") },
    { value: format.formatCost(sums.cost), label: "cost", href: href("", { order: "dearest" }) },
    { value: format.formatCount(sums.errors), label: sums.errors === 1 ? "error" : "errors", key: "errors", bad: sums.errors > 0 },
    chat && { value: chat, label: "conversation", href: conversationHref(chat) },
    run && { value: run.slice(0, 8), label: "run", href: runHref(run) },
  ].filter(Boolean);
}
