// The keyboard: j k move, enter opens, / filter, esc closes, ? help. Enter needs no code: rows are links.
import { changeHref, navigate, readLocation } from "./location.js";

const isTyping = (target) => target.closest?.("input:not([type=checkbox]), select, textarea, dialog");

export function listenToKeys({ showHelp }) {
  document.addEventListener("keydown", (event) => {
    if (event.metaKey || event.ctrlKey || event.altKey || event.defaultPrevented) return;
    if (event.key === "Escape") return closePanel(event);
    if (isTyping(event.target)) return;
    const act = { j: () => moveRow(1), k: () => moveRow(-1), "/": focusFilter, "?": showHelp }[event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
}

function closePanel(event) {
  if (document.querySelector("dialog[open]")) return; // the browser closes it
  if (event.target.matches?.("input")) event.target.blur();
  else if (readLocation().params.get("open")) navigate(changeHref({ open: null }));
}

function focusFilter() {
  const input = document.getElementById("filter");
  input.focus();
  input.select();
}

function moveRow(step) {
  const area = document.activeElement?.closest(".panel") || document.querySelector("main");
  const links = [...area.querySelectorAll("a.row-link")].filter((link) => link.offsetParent);
  if (!links.length) return;
  const row = document.activeElement?.closest("tr")?.querySelector("a.row-link");
  const current = links.indexOf(row);
  const fallback = area.querySelector("tr.open a.row-link");
  const index = current >= 0 ? current + step : Math.max(0, links.indexOf(fallback));
  const link = links[Math.max(0, Math.min(links.length - 1, index))];
  link.focus();
  link.closest("tr").scrollIntoView({ block: "nearest" });
  // Open details follow the row.
  const open = new URL(link.href).searchParams.get("open");
  if (open && readLocation().params.get("open")) navigate(link.href, { replace: true });
}
