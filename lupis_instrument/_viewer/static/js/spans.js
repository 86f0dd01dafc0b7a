// Shapes the spans of a trace: kinds, the tree, folded infrastructure, groups of attributes, prices.

const OPERATIONS = {
  execute_tool: "tool",
  invoke_agent: "agent",
  create_agent: "agent",
  invoke_workflow: "agent",
};

// The kind of a span, in one word: call, tool, agent, http, database, message or step.
export function nameKind(span) {
  if (span.is_call) return "call";
  const attributes = span.attributes || {};
  const operation = OPERATIONS[attributes["gen_ai.operation.name"]];
  if (operation) return operation;
  const names = Object.keys(attributes);
  const hasPrefix = (...prefixes) => names.some((name) => prefixes.some((prefix) => name.startsWith(prefix)));
  if (hasPrefix("db.")) return "database";
  if (hasPrefix("messaging.")) return "message";
  if (hasPrefix("http.", "url.", "rpc.")) return "http";
  return { producer: "message", consumer: "message", client: "http", server: "http" }[span.kind] || "step";
}

const INFRASTRUCTURE = new Set(["http", "database", "message"]);

// Lists the rows of a waterfall: { span, depth, kind } or { fold, depth, spans }. Spans of infrastructure
// without calls below them become one row, unless `unfolded` has its id.
export function listRows(spans, unfolded) {
  const known = new Set(spans.map((span) => span.span_id));
  const children = new Map();
  for (const span of spans) {
    const parent = span.parent_id && span.parent_id !== span.span_id && known.has(span.parent_id) ? span.parent_id : "";
    children.set(parent, [...(children.get(parent) || []), span]);
  }
  const isFoldable = memoize((span) =>
    INFRASTRUCTURE.has(nameKind(span)) && !span.error &&
    (children.get(span.span_id) || []).every((child) => isFoldable(child)));
  const rows = [];
  const walk = (parent, depth) => {
    let folded = [];
    const flush = () => {
      if (!folded.length) return;
      const fold = folded[0].span_id;
      rows.push({ fold, depth, spans: folded, isOpen: unfolded.has(fold) });
      if (unfolded.has(fold)) folded.forEach((span) => show(span, depth));
      folded = [];
    };
    for (const span of children.get(parent) || []) {
      if (isFoldable(span)) folded.push(span);
      else {
        flush();
        show(span, depth);
      }
    }
    flush();
  };
  const show = (span, depth) => {
    rows.push({ span, depth, kind: nameKind(span) });
    if (isFoldable(span)) (children.get(span.span_id) || []).forEach((child) => show(child, depth + 1));
    else walk(span.span_id, depth + 1);
  };
  walk("", 0);
  return rows;
}

function memoize(decide) {
  const known = new Map();
  return (span) => {
    if (!known.has(span)) {
      known.set(span, false); // the answer within a circle of parents
      known.set(span, decide(span));
    }
    return known.get(span);
  };
}

export function measureSpans(spans) {
  const startMs = Math.min(...spans.map((span) => span.at_ms));
  const endMs = Math.max(...spans.map((span) => span.at_ms + span.duration_ms));
  return { startMs, spanMs: Math.max(endMs - startMs, 0.001) };
}

// The sums of the calls of a trace; the cost is null if no call has one.
export function addUp(spans) {
  const calls = spans.filter((span) => span.is_call).map((span) => span.call);
  const add = (name) => {
    const values = calls.map((call) => call[name]).filter((value) => value !== null && value !== undefined);
    return values.length ? values.reduce((sum, value) => sum + value, 0) : null;
  };
  return {
    calls: calls.length,
    errors: spans.filter((span) => span.error).length,
    input: add("input_tokens"),
    output: add("output_tokens"),
    cost: add("cost"),
  };
}

const GROUPS = [
  ["Model", ["gen_ai."]],
  ["Cost", ["lupis.cost."]],
  ["Error", ["error.", "exception.", "lupis.error."]],
  ["Lupis", ["lupis.", "session.", "user.", "enduser."]],
  ["HTTP", ["http.", "url.", "server.", "network.", "user_agent.", "client.", "tls."]],
  ["Other", [""]],
];

export function groupAttributes(attributes) {
  const groups = new Map(GROUPS.map(([title]) => [title, []]));
  for (const name of Object.keys(attributes).sort()) {
    const [title] = GROUPS.find(([, prefixes]) => prefixes.some((prefix) => name.startsWith(prefix)));
    groups.get(title).push([name, attributes[name]]);
  }
  return [...groups].filter(([, rows]) => rows.length);
}

// The lines of a price: { part, tokens, cost }; the costs add up to the total.
export function explainCost(call, attributes) {
  const read = (name) => toNumber(attributes[`lupis.cost.${name}`]);
  const cached = call.cached_tokens || 0;
  const written = call.cache_write_tokens || 0;
  const cacheCost = read("cache");
  const plain = call.input_tokens === null ? null
    : Math.max(0, call.input_tokens - (cacheCost ? cached + written : 0));
  const lines = [{ part: "input", tokens: plain, cost: read("input") }];
  if (cacheCost) {
    const part = cached && written ? "cache, read and written" : written ? "written to the cache" : "cached input";
    lines.push({ part, tokens: cached + written, cost: cacheCost });
  }
  lines.push({ part: "output", tokens: call.output_tokens, cost: read("output") });
  return {
    lines: lines.filter((line) => line.cost !== null),
    estimate: read("estimate"),
    source: attributes["lupis.cost.source"],
    catalog: attributes["lupis.cost.catalog"],
  };
}

function toNumber(value) {
  return value === undefined || value === null || value === "" ? null : Number(value);
}
