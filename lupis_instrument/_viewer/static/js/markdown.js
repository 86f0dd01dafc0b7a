// Copies a trace as Markdown or JSON.
import * as format from "./format.js";
import { addUp, explainCost, listRows, measureSpans } from "./spans.js";

const cell = (text) => String(text ?? "").replaceAll("|", "\\|").replaceAll(/[\r\n]+/g, " ");

export function makeMarkdown(trace) {
  const { startMs, spanMs } = measureSpans(trace.spans);
  const total = addUp(trace.spans);
  const every = { has: () => true };
  const rows = listRows(trace.spans, every).filter((row) => row.span);
  const table = rows.map(({ span, depth, kind }) => {
    const call = span.call || {};
    const first = call.first_token_ms ? `, first token ${format.formatDuration(call.first_token_ms)}` : "";
    return [
      `${"&nbsp;&nbsp;".repeat(depth)}${cell(kind)}: ${cell(span.name)}`,
      `+${format.formatDuration(span.at_ms - startMs)}`,
      `${format.formatDuration(span.duration_ms)}${first}`,
      span.is_call ? `${format.formatCount(call.input_tokens)} → ${format.formatCount(call.output_tokens)}` : "",
      span.is_call ? format.formatCost(call.cost) : "",
      cell(span.error || ""),
    ];
  });
  const prices = rows.filter(({ span }) => span.is_call).flatMap(({ span }) => describePrice(span));
  return [
    `## Trace ${trace.trace_id}`,
    "",
    `${format.formatFullTime(startMs)}, ${format.formatDuration(spanMs)}, ${format.countNoun(total.calls, "call")}, ` +
      `${format.formatCount(total.input)} tokens in, ${format.formatCount(total.output)} out, ` +
      `${format.formatCost(total.cost)}, ${format.countNoun(total.errors, "error")}`,
    "",
    "| span | start | duration | tokens | cost | error |",
    "|---|--:|--:|--:|--:|---|",
    ...table.map((cells) => `| ${cells.join(" | ")} |`),
    ...(prices.length ? ["", ...prices] : []),
    "",
  ].join("\n");
}

function describePrice(span) {
  const { lines } = explainCost(span.call, span.attributes);
  if (!lines.length) return [];
  const parts = lines.map(({ part, tokens, cost }) =>
    tokens ? `${format.formatCount(tokens)} ${part} × ${format.formatRate(cost, tokens)}/M` : `${part} ${format.formatCost(cost)}`);
  return [`- ${cell(span.name)}: ${parts.join(" + ")} = ${format.formatCost(span.call.cost)}`];
}

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without https, and away from this machine, browsers have no clipboard.
    const area = document.createElement("textarea");
    area.value = text;
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
}
