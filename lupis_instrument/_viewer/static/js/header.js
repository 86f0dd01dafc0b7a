// The top of each page: links to pages, the filter, the time range, the live state, the theme.
import { html, useEffect, useState } from "./preact.js";
import { formatTime } from "./format.js";
import { DEFAULT_SINCE, changeHref, makeHref, navigate, useLocation } from "./location.js";
import { listenToStream, readState, setPaused } from "./stream.js";

const PAGES = [
  ["/", "Live"],
  ["/runs", "Runs"],
  ["/conversations", "Conversations"],
  ["/costs", "Costs"],
  ["/errors", "Errors"],
  ["/cache", "Cache"],
  ["/compare", "Compare"],
  ["/events", "Events"],
  ["/delivery", "Delivery"],
];
const SECTIONS = { "/traces": "/", "/conversation": "/conversations" };
const FILTERED = new Set(["/", "/conversations", "/costs", "/errors", "/cache"]);
const RANGES = [
  ["15m", "last 15 minutes"],
  ["1h", "last hour"],
  ["24h", "last 24 hours"],
  ["7d", "last 7 days"],
  ["30d", "last 30 days"],
  ["all", "all times"],
];

export function Header({ showHelp }) {
  const { path } = useLocation();
  const start = `/${path.split("/")[1]}`;
  const section = SECTIONS[start] || start;
  return html`<header>
    <a class="skip" href="#main">Skip to the content</a>
    <nav aria-label="Pages">
      <a class="logo" href="/">lupis</a>
      ${PAGES.map(([href, title]) => html`<a key=${href} href=${makeHref(href)} aria-current=${href === section ? "page" : undefined}>${title}</a>`)}
    </nav>
    <div class="tools">
      <${Filter} path=${path} />
      <${Range} />
      <${LiveButton} />
      <button type="button" class="quiet" onClick=${toggleTheme} aria-label="Light or dark" title="light or dark">◐</button>
      <button type="button" class="quiet" onClick=${showHelp} aria-label="Help" title="help (?)">?</button>
    </div>
  </header>`;
}

function Filter({ path }) {
  const { params } = useLocation();
  const stored = params.get("q") || "";
  const [text, setText] = useState(stored);
  useEffect(() => setText(stored), [stored]);
  const submit = (event) => {
    event.preventDefault();
    const q = text.trim() || null;
    navigate(FILTERED.has(path) ? changeHref({ q, open: null }) : makeHref("/", { q }));
  };
  return html`<form role="search" class="filter" onSubmit=${submit}>
    <label class="unseen" for="filter">Filter the calls</label>
    <input id="filter" type="search" autocomplete="off" spellcheck=${false} value=${text}
      placeholder="model:gpt-4o error cost>0.01" onInput=${(event) => setText(event.target.value)}
      onSearch=${(event) => !event.target.value && stored && submit(event)} />
  </form>`;
}

function Range() {
  const { params } = useLocation();
  const since = params.get("since") || DEFAULT_SINCE;
  const until = params.get("until");
  const isKnown = !until && RANGES.some(([value]) => value === since);
  const change = (event) => navigate(changeHref({ since: event.target.value, until: null }));
  return html`<label class="range"><span class="unseen">Time range</span>
    <select value=${isKnown ? since : "chosen"} onChange=${change}>
      ${!isKnown && html`<option value="chosen">${showTime(since)} – ${until ? showTime(until) : "now"}</option>`}
      ${RANGES.map(([value, title]) => html`<option key=${value} value=${value}>${title}</option>`)}
    </select>
  </label>`;
}

const showTime = (text) => (/^\d{9,}$/.test(text) ? formatTime(Number(text)) : text);

function LiveButton() {
  const [state, setState] = useState(readState());
  useEffect(() => listenToStream(() => setState(readState())), []);
  const texts = { live: "live", paused: "paused", lost: "no answer", connecting: "connecting" };
  return html`<button type="button" class=${`live ${state}`} aria-pressed=${state === "paused"}
    title=${state === "paused" ? "go on with live updates" : "pause live updates"}
    onClick=${() => setPaused(state !== "paused")}><span class="dot" aria-hidden="true"></span>${texts[state]}</button>`;
}
