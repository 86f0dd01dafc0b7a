// Records calls, starts `lupis ui` over them, and opens Chromium.
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = join(HERE, "..", "..");
const BIN = process.env.LUPIS_BIN || join(ROOT, ".venv", "bin");
const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const SCREENSHOTS = process.env.SCREENSHOTS || join(HERE, "screenshots");
export const PATIENCE = 60_000; // milliseconds; a busy machine is slow

// A store in a folder of its own, with the programs that record into it.
export class Recorder {
  constructor() {
    this.folder = mkdtempSync(join(tmpdir(), "lupis-browser-"));
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith("LUPIS_"));
    this.environment = { ...Object.fromEntries(kept), LUPIS_DATA_DIR: this.folder, LUPIS_EXPORTER: "local" };
  }

  run(script, ...words) {
    const words_ = [join(BIN, "python"), join(ROOT, script), ...words];
    execFileSync(join(BIN, "lupis-run"), words_, { env: this.environment, stdio: ["ignore", "ignore", "pipe"] });
  }

  close() {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// `lupis ui`, in a process of its own.
export class Viewer {
  static async start(environment, ...options) {
    const viewer = new Viewer();
    viewer.process = spawn(join(BIN, "lupis"), ["ui", "--no-browser", "--port", "0", ...options], {
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    viewer.output = [];
    for (const stream of [viewer.process.stdout, viewer.process.stderr]) {
      createInterface({ input: stream }).on("line", (line) => viewer.output.push(line));
    }
    viewer.url = await viewer.readUrl();
    viewer.origin = new URL(viewer.url).origin;
    return viewer;
  }

  async readUrl() {
    const end = Date.now() + PATIENCE;
    while (Date.now() < end && this.process.exitCode === null) {
      const match = this.output.map((line) => /http:\S+token=\S+/.exec(line)).find(Boolean);
      if (match) return match[0];
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    throw new Error(`lupis ui printed no address:\n${this.output.join("\n")}`);
  }

  async close() {
    if (this.process.exitCode !== null) return;
    this.process.kill();
    await once(this.process, "exit");
  }
}

export async function openBrowser() {
  mkdirSync(SCREENSHOTS, { recursive: true });
  return chromium.launch({ executablePath: process.env.CHROMIUM || "/usr/bin/chromium", args: FLAGS });
}

// A page that remembers each fault of its scripts, and each message of its console.
export async function openPage(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(error.stack));
  page.on("console", (message) => message.type() === "error" && page.faults.push(message.text()));
  page.on("dialog", (dialog) => page.faults.push(`a dialog: ${dialog.message()}`) && dialog.dismiss());
  await page.goto(url);
  await page.locator("h1").waitFor();
  return page;
}

// Waits for the answers of the API that the page has asked for.
export async function settle(page) {
  await page.locator("h1").waitFor();
  await page.waitForFunction(() => !document.querySelector(".loading, .chart-space"));
}

// rules: the ids of the rules to check; all without them.
export async function findViolations(page, rules) {
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(
    (runOnly) => axe.run(document, { resultTypes: ["violations"], ...(runOnly && { runOnly }) }),
    rules,
  );
  return violations.map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}
