// The modules that need no browser: the tree of a trace, the arithmetic of a price, Markdown.
import assert from "node:assert/strict";
import { test } from "node:test";
import * as format from "../../lupis_instrument/_viewer/static/js/format.js";
import { makeMarkdown } from "../../lupis_instrument/_viewer/static/js/markdown.js";
import { explainCost, groupAttributes, listRows, nameKind } from "../../lupis_instrument/_viewer/static/js/spans.js";

const NO_SPANS = new Set();
const make = (id, parent, changes = {}) => ({
  span_id: id,
  parent_id: parent,
  name: `span ${id}`,
  kind: "internal",
  at_ms: 1000,
  duration_ms: 10,
  is_call: false,
  call: null,
  error: null,
  attributes: {},
  events: [],
  ...changes,
});
const makeCall = (id, parent, call = {}) =>
  make(id, parent, {
    is_call: true,
    call: { input_tokens: 100, cached_tokens: 40, output_tokens: 10, cost: 0.0005, ...call },
    attributes: { "lupis.cost.input": 0.0003, "lupis.cost.cache": 0.0001, "lupis.cost.output": 0.0001 },
  });
const HTTP = { kind: "client", attributes: { "http.request.method": "GET" } };
const names = (rows) => rows.map((row) => `${"-".repeat(row.depth)}${row.span ? row.span.span_id : `fold${row.spans.length}`}`);

test("children follow their parents", () => {
  const spans = [make("a", null), makeCall("b", "a"), make("c", "a"), makeCall("d", "c")];
  assert.deepEqual(names(listRows(spans, NO_SPANS)), ["a", "-b", "-c", "--d"]);
});

test("spans of infrastructure are folded, with the spans below them", () => {
  const spans = [make("a", null), make("b", "a", HTTP), make("c", "b", HTTP), make("d", "a", HTTP), makeCall("e", "a")];
  assert.deepEqual(names(listRows(spans, NO_SPANS)), ["a", "-fold2", "-e"]);
});

test("an unfolded row shows its spans", () => {
  const spans = [make("a", null), make("b", "a", HTTP), make("c", "b", HTTP)];
  assert.deepEqual(names(listRows(spans, new Set(["b"]))), ["a", "-fold1", "-b", "--c"]);
});

test("a span of infrastructure with a call or an error stays", () => {
  const spans = [make("a", null, HTTP), makeCall("b", "a"), make("c", null, { ...HTTP, error: "500" })];
  assert.deepEqual(names(listRows(spans, NO_SPANS)), ["a", "-b", "c"]);
});

test("a span whose parent is missing is a root", () => {
  assert.deepEqual(names(listRows([make("a", "gone")], NO_SPANS)), ["a"]);
});

test("the kind of a span comes from its attributes", () => {
  const kinds = [
    makeCall("a"),
    make("b", null, { attributes: { "gen_ai.operation.name": "execute_tool" } }),
    make("c", null, { attributes: { "db.system": "sqlite" } }),
    make("d", null, HTTP),
    make("e"),
  ].map(nameKind);
  assert.deepEqual(kinds, ["call", "tool", "database", "http", "step"]);
});

test("the lines of a price add up to the cost", () => {
  const { call, attributes } = makeCall("a");
  const { lines } = explainCost(call, attributes);
  assert.deepEqual(lines.map(({ part, tokens }) => [part, tokens]), [["input", 60], ["cached input", 40], ["output", 10]]);
  assert.equal(format.formatCost(lines.reduce((sum, { cost }) => sum + cost, 0)), format.formatCost(call.cost));
});

test("a cost without parts has no lines", () => {
  assert.deepEqual(explainCost(makeCall("a").call, {}).lines, []);
});

test("attributes are grouped, the rest last", () => {
  const groups = groupAttributes({ "my.key": 1, "gen_ai.request.model": "m", "url.full": "u" });
  assert.deepEqual(groups.map(([title]) => title), ["Model", "HTTP", "Other"]);
});

test("Markdown escapes the characters of tables", () => {
  const text = makeMarkdown({ trace_id: "f", spans: [make("a", null, { name: "one | two\nthree" })] });
  assert.match(text, /step: one \\\| two three/);
});

test("an unknown number is a dash, and zero is zero", () => {
  assert.deepEqual([null, 0].map(format.formatCost), ["–", "$0"]);
  assert.deepEqual([null, 0].map(format.formatCount), ["–", "0"]);
});

test("costs keep the digits that matter", () => {
  assert.deepEqual([12.405, 0.0041, 0.000018, 1e-9, 1234.5].map(format.formatCost), ["$12.40", "$0.0041", "$0.000018", "<$0.000001", "$1,234.50"]);
});

test("durations change their unit", () => {
  assert.deepEqual([0.4, 120, 4200, 42_000, 59_990, 125_000, 899_999, 7_260_000].map(format.formatDuration), ["0.4 ms", "120 ms", "4.20 s", "42.0 s", "1 m 00 s", "2 m 05 s", "15 m 00 s", "2 h 01 m"]);
});
