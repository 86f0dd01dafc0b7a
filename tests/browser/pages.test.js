// Every page of `lupis ui` in Chromium, over a store with known calls.
//
//     make test-browser
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { join } from "node:path";
import { Recorder, SCREENSHOTS, Viewer, findViolations, openBrowser, openPage, settle } from "./viewer.js";

const HOSTILE = '<img src=x onerror="globalThis.attacked=1">';
const HOSTILE_CHAT = `chat-"'><script>globalThis.attacked=1</script>`;
const HOSTILE_EVENT = "<svg onload=globalThis.attacked=1>";
const AGENT = "examples/agent.py";
const HOSTILE_AGENT = "tests/browser/hostile_agent.py";
const PAGES = [
  ["live", "/", "Calls"],
  ["runs", "/runs", "Runs"],
  ["conversations", "/conversations", "Conversations"],
  ["costs", "/costs", "Costs"],
  ["errors", "/errors", "Errors and limits"],
  ["cache", "/cache", "Cache"],
  ["compare", "/compare", "Compare two runs"],
  ["events", "/events", "Events"],
  ["delivery", "/delivery", "Delivery"],
];

let recorder, viewer, browser, page, paths;

before(async () => {
  recorder = new Recorder();
  recorder.run(AGENT);
  recorder.run(AGENT);
  recorder.run(HOSTILE_AGENT, HOSTILE, HOSTILE_CHAT, HOSTILE_EVENT);
  viewer = await Viewer.start(recorder.environment);
  browser = await openBrowser();
  page = await openPage(browser, viewer.url);
  const [call] = (await read("/api/calls?q=model:gpt-4o-mini")).calls;
  paths = [
    ...PAGES,
    ["run", `/runs/${call.run}`, `Run ${call.run_short}`],
    ["trace", `/traces/${call.trace_id}`, `Trace ${call.trace_id.slice(0, 8)}`],
    ["conversation", `/conversation?chat=${encodeURIComponent(HOSTILE_CHAT)}`, `Conversation ${HOSTILE_CHAT}`],
    ["details", `/?open=${call.trace_id}/${call.span_id}`, "Calls"],
  ];
});

after(async () => {
  await browser?.close();
  await viewer?.close();
  recorder?.close();
});

async function open(path) {
  await page.goto(viewer.origin + path);
  await settle(page);
}

const read = (path) => page.evaluate((url) => fetch(url).then((answer) => answer.json()), path);
const rowCount = () => page.locator("main table.calls tbody tr").count();
const wait = (text) => page.getByText(text).first().waitFor();

for (const [theme, rules] of [["light"], ["dark", ["color-contrast"]]]) {
  test(`every page opens, and axe reports nothing, in the ${theme} theme`, async () => {
    await page.emulateMedia({ colorScheme: theme });
    for (const [name, path, title] of paths) {
      await open(path);
      assert.equal(await page.locator("h1").innerText(), title);
      await page.screenshot({ path: join(SCREENSHOTS, `${name}-${theme}.png`) });
      assert.deepEqual(await findViolations(page, rules), [], name);
    }
    await page.emulateMedia({ colorScheme: "light" });
    assert.deepEqual(page.faults, []);
  });
}

test("every page fits 800 pixels, and axe reports nothing there", async () => {
  await page.setViewportSize({ width: 800, height: 800 });
  for (const [name, path] of paths) {
    await open(path);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= 800, `${name} is ${width} pixels wide`);
    await page.screenshot({ path: join(SCREENSHOTS, `${name}-narrow.png`) });
  }
  assert.deepEqual(await findViolations(page), []);
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("a run links its dearest call", async () => {
  const [, path] = paths.find(([name]) => name === "run");
  await open(path);
  const { calls } = await read(`/api${path}?limit=1000`);
  const dearest = calls.reduce((first, call) => (call.cost > first.cost ? call : first));
  await page.locator("a").filter({ hasText: "dearest call" }).click();
  await page.waitForURL(`**/traces/${dearest.trace_id}**`);
});

test("names from calls and events are shown as text, and run nothing", async () => {
  for (const [path, text] of [
    ["/", HOSTILE],
    ["/conversations", HOSTILE_CHAT],
    [`/conversation?chat=${encodeURIComponent(HOSTILE_CHAT)}`, HOSTILE],
    ["/costs", HOSTILE],
    ["/cache", HOSTILE],
    ["/compare", HOSTILE],
    ["/events", HOSTILE_EVENT],
  ]) {
    await open(path);
    await wait(text);
    assert.equal(await page.evaluate(() => globalThis.attacked), undefined, path);
    assert.equal(await page.locator("main img, main script, main svg[onload]").count(), 0, path);
  }
});

test("a link with a hostile name leads to its calls", async () => {
  await open("/conversations");
  await page.getByRole("link", { name: HOSTILE_CHAT }).click();
  await page.getByRole("heading", { name: HOSTILE_CHAT }).waitFor();
  await settle(page);
  assert.equal(await rowCount(), 1);
});

for (const [label, expected, word] of [
  ["errors", 2, "error"], // the busy model, in both runs
  ["without a price", 1, "priced:unpriced"], // the hostile model
]) {
  test(`the sum of calls, ${label}, leads to as many rows`, async () => {
    await open("/");
    const link = page.locator(".stats a", { hasText: label });
    assert.equal(await link.locator("b").innerText(), String(expected));
    await link.click();
    await page.waitForFunction((rows) => document.querySelectorAll("table.calls tbody tr").length === rows, expected);
    assert.equal(new URL(page.url()).searchParams.get("q"), word);
  });
}

test("the filter is in the URL, and the back button undoes it", async () => {
  await open("/");
  const all = await rowCount();
  await page.keyboard.press("/");
  await page.keyboard.type("model:gpt-4o-mini");
  await page.keyboard.press("Enter");
  await page.waitForFunction((rows) => document.querySelectorAll("table.calls tbody tr").length < rows, all);
  assert.match(page.url(), /q=model%3Agpt-4o-mini/);
  const models = await page.locator("main .row-link").allInnerTexts();
  assert.ok(models.every((text) => text.includes("gpt-4o-mini")), models.join());
  await page.goBack();
  await page.waitForFunction((rows) => document.querySelectorAll("table.calls tbody tr").length === rows, all);
});

test("a mistake in the filter is explained", async () => {
  await open("/");
  await page.locator("#filter").fill("colour:red");
  await page.keyboard.press("Enter");
  await page.getByRole("alert").first().waitFor();
  assert.match(await page.getByRole("alert").first().innerText(), /no such field/);
  page.faults.length = 0; // the console reports the status 400
});

test("the keyboard moves, opens, follows and closes", async () => {
  await open("/");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.locator(".panel h2").waitFor();
  assert.equal(await page.locator("tr.open").first().evaluate((row) => row.rowIndex), 1);
  await page.keyboard.press("j");
  await page.waitForFunction(() => document.querySelector("main tr.open")?.rowIndex === 2);
  await page.keyboard.press("Escape");
  await page.locator(".panel").waitFor({ state: "detached" });
  assert.equal(new URL(page.url()).searchParams.get("open"), null);
});

test("? opens the help, and esc closes it", async () => {
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  assert.deepEqual(await findViolations(page), []);
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "hidden" });
});

test("the theme stays after a reload", async () => {
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  const first = await theme();
  await page.getByRole("button", { name: "Light or dark" }).click();
  const second = await theme();
  await page.reload();
  await settle(page);
  assert.notEqual(first, second);
  assert.equal(await theme(), second);
  await page.getByRole("button", { name: "Light or dark" }).click();
});

test("dragging over the chart chooses a time range", async () => {
  await open("/?since=1h");
  const box = await page.locator(".area").boundingBox();
  await page.mouse.move(box.x + box.width * 0.5, box.y + 20);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width - 1, box.y + 20, { steps: 4 });
  await page.mouse.up();
  await page.waitForURL(/since=\d{13}.*until=\d{13}/);
});

test("the details show the arithmetic of the price", async () => {
  await open(paths.find(([name]) => name === "details")[1]);
  const sum = page.locator(".panel .sum");
  await sum.waitFor();
  assert.match(await sum.innerText(), /× \$[\d.]+ \/ M/);
});

test("a trace is copied as Markdown and as JSON", async () => {
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await open(paths.find(([name]) => name === "trace")[1]);
  const copy = async (name) => {
    await page.getByRole("button", { name }).click();
    await page.getByText(`${name.slice(8)} copied`).waitFor();
    return page.evaluate(() => navigator.clipboard.readText());
  };
  assert.match(await copy("Copy as Markdown"), /^## Trace [0-9a-f]{32}/);
  assert.ok(JSON.parse(await copy("Copy as JSON")).spans.length > 0);
});

test("paper has no header and no buttons", async () => {
  await page.emulateMedia({ media: "print" });
  assert.equal(await page.locator("header").isVisible(), false);
  assert.equal(await page.getByRole("button", { name: "Copy as JSON" }).isVisible(), false);
  await page.emulateMedia({ media: "screen" });
});

test("a new call appears in every open page without a reload", async () => {
  await open("/");
  // More pages than a browser has connections to one server.
  const others = [];
  for (let number = 0; number < 7; number += 1) {
    const other = await page.context().newPage();
    await other.goto(viewer.origin);
    await settle(other);
    others.push(other);
  }
  await page.evaluate(() => (globalThis.isSameDocument = true));
  recorder.run(HOSTILE_AGENT, "brand-new-model", "new-chat", "new-event");
  for (const other of others) {
    await other.bringToFront();
    await other.getByText("brand-new-model").first().waitFor();
    await other.close();
  }
  await page.bringToFront();
  await wait("brand-new-model");
  assert.equal(await page.evaluate(() => globalThis.isSameDocument), true);
});

test("new calls wait while you read further down", async () => {
  await page.setViewportSize({ width: 1280, height: 400 });
  await open("/");
  await page.evaluate(() => scrollTo(0, 300));
  const before = await page.locator("main .row-link").allInnerTexts();
  recorder.run(HOSTILE_AGENT, "one-more-model", "new-chat", "new-event");
  const button = page.getByRole("button", { name: "1 new call" });
  await button.waitFor();
  assert.deepEqual(await page.locator("main .row-link").allInnerTexts(), before);
  await button.click();
  await wait("one-more-model");
  await page.setViewportSize({ width: 1280, height: 800 });
});

test("a viewer that has ended is reported", async () => {
  const other = await Viewer.start(recorder.environment);
  const last = await openPage(browser, other.url);
  await last.getByRole("button", { name: "live", exact: true }).waitFor();
  await other.close();
  await last.getByRole("button", { name: "no answer" }).waitFor();
  await last.context().close();
});

test("an empty store says what to run", async () => {
  const empty = new Recorder();
  const other = await Viewer.start(empty.environment);
  try {
    const fresh = await openPage(browser, other.url);
    await fresh.getByText("lupis-run python my_agent.py").waitFor();
    await fresh.screenshot({ path: join(SCREENSHOTS, "empty.png") });
    assert.deepEqual(await findViolations(fresh), []);
    await fresh.context().close();
  } finally {
    await other.close();
    empty.close();
  }
});

test("nothing failed in the page's scripts", () => assert.deepEqual(page.faults, []));
