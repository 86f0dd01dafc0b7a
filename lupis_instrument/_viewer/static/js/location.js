// The URL is the state of the page: its path, the filter (q), the time range (since, until), and more.
import { useEffect, useState } from "./preact.js";

export const DEFAULT_SINCE = "24h";
const KEPT = ["q", "since", "until"];
const listeners = new Set();

export function readLocation() {
  return { path: location.pathname, params: new URLSearchParams(location.search) };
}

export function useLocation() {
  const [, update] = useState(0);
  useEffect(() => {
    const listen = () => update((count) => count + 1);
    listeners.add(listen);
    return () => listeners.delete(listen);
  }, []);
  return readLocation();
}

// The address of another page, with the filter and the time range of this one.
export function makeHref(path, changes = {}) {
  const { params } = readLocation();
  const kept = Object.fromEntries(KEPT.map((name) => [name, params.get(name)]));
  return joinHref(path, { ...kept, ...changes });
}

// The address of this page with other parameters; null removes one.
export function changeHref(changes) {
  const { path, params } = readLocation();
  return joinHref(path, { ...Object.fromEntries(params), ...changes });
}

function joinHref(path, values) {
  const params = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    if (value !== null && value !== undefined && value !== "") params.set(name, value);
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

export function navigate(href, { replace = false } = {}) {
  const before = location.pathname;
  history[replace ? "replaceState" : "pushState"](null, "", href);
  announce(before);
}

function announce(before) {
  const isOtherPage = before !== location.pathname;
  listeners.forEach((listen) => listen());
  if (isOtherPage) {
    scrollTo(0, 0);
    requestAnimationFrame(() => document.querySelector("h1")?.focus());
  }
}

// Links to pages change the URL without loading the page again.
export function followLinks() {
  let before = location.pathname;
  addEventListener("popstate", () => {
    announce(before);
    before = location.pathname;
  });
  document.addEventListener("click", (event) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey) return;
    const link = event.target.closest?.("a[href]");
    if (!link || link.target || link.origin !== location.origin || link.hash || link.pathname.startsWith("/api/")) return;
    event.preventDefault();
    navigate(link.href);
    before = location.pathname;
  });
}

// The words of the filter language for a field and its value, such as model:"gpt-4o".
export function makeWord(field, value) {
  if (value === null || value === undefined) return `-${field}`;
  const text = String(value);
  return /^[\w./@+-]+$/.test(text) ? `${field}:${text}` : `${field}:"${text.replaceAll('"', "*")}"`;
}

// The address of the calls that some words select, besides the words of the filter.
export function callsHref(words, changes = {}) {
  const { params } = readLocation();
  const all = [params.get("q"), ...[words].flat()].filter(Boolean);
  return makeHref("/", { q: [...new Set(all)].join(" "), ...changes });
}

export const runHref = (run) => makeHref(`/runs/${encodeURIComponent(run)}`, { q: null });
export const traceHref = (trace, span) => makeHref(`/traces/${encodeURIComponent(trace)}`, { q: null, span });
export const conversationHref = (chat) => makeHref("/conversation", { q: null, chat });
export const openHref = (trace, span) => changeHref({ open: span ? `${trace}/${span}` : trace });
