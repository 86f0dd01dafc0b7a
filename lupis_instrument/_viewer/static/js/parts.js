// Small parts of pages: numbers, times, messages, tables.
import { html, useEffect } from "./preact.js";
import * as format from "./format.js";
import { makeHref } from "./location.js";

const MAX_TURNS = 5;

export function Page({ title, lead, actions, children }) {
  useEffect(() => {
    document.title = `${title} · lupis`;
  }, [title]);
  return html`<div class="page">
    <div class="page-head">
      <h1 tabindex="-1">${title}</h1>
      ${actions && html`<div class="actions">${actions}</div>`}
    </div>
    ${lead && html`<p class="lead">${lead}</p>`}
    ${children}
  </div>`;
}

// A table. A column is { title, cell(row), number, width, level, hint }: columns of level 3 go first
// when space is short, then those of level 2; columns without a level stay.
export function Table({ label, columns, rows, rowKey, rowClass, empty, class: className = "" }) {
  if (!rows.length && empty) return empty;
  return html`<div class="table-box">
    <table class=${className}>
      <caption class="unseen">${label}</caption>
      <thead>
        <tr>
          ${columns.map(
            (column) => html`<th scope="col" class=${columnClass(column)} title=${column.hint}
              style=${column.width ? { width: column.width } : undefined}
              aria-sort=${column.sorted || undefined}>
              ${column.href ? html`<a href=${column.href}>${column.title}</a>` : column.title}
            </th>`,
          )}
        </tr>
      </thead>
      <tbody onClick=${openRow}>
        ${rows.map(
          (row, index) => html`<tr key=${rowKey ? rowKey(row) : index} class=${rowClass?.(row)}>
            ${columns.map((column) => html`<td class=${columnClass(column)}>${column.cell(row)}</td>`)}
          </tr>`,
        )}
      </tbody>
    </table>
  </div>`;
}

const columnClass = ({ number, level, class: name }) =>
  [number && "number", level && `level-${level}`, name].filter(Boolean).join(" ");

// A click anywhere in a row follows its link, unless it hits another link or marks text.
function openRow(event) {
  if (event.target.closest("a, button, input") || !getSelection().isCollapsed) return;
  const link = event.target.closest("tr").querySelector("a.row-link");
  link?.focus({ preventScroll: true });
  link?.click();
}

export function Time({ ms, full }) {
  if (ms === null || ms === undefined) return format.UNKNOWN;
  const date = new Date(ms);
  const iso = Number.isNaN(date.getTime()) ? undefined : date.toISOString();
  const text = full ? format.formatFullTime(ms) : format.formatTime(ms);
  return html`<time datetime=${iso} title=${format.formatFullTime(ms)}>${text}</time>`;
}

export function Cost({ value, reason, status }) {
  if (value === null || value === undefined) {
    return html`<span class="dim" title=${reason || "no price is known"}>${format.UNKNOWN}</span>`;
  }
  const isPart = status === "partial";
  const title = isPart ? `a part of the cost is unknown: ${reason || "no reason given"}` : undefined;
  return html`<span title=${title}>${isPart ? "≥ " : ""}${format.formatCost(value)}</span>`;
}

export const Count = ({ value }) =>
  html`<span class=${value ? "" : "dim"}>${format.formatCount(value)}</span>`;

export const ErrorCount = ({ value }) =>
  html`<span class=${value ? "bad" : "dim"}>${format.formatCount(value)}</span>`;

// A row of sums: { value, label, href, bad, hint }.
export function Stats({ items, label = "Totals" }) {
  return html`<ul class="stats" aria-label=${label}>
    ${items.map((item) => {
      const text = html`<b class=${item.bad ? "bad" : ""}>${item.value}</b>${" "}<span>${item.label}</span>`;
      return html`<li key=${item.key || item.label} title=${item.hint} class=${item.level ? `level-${item.level}` : ""}>
        ${item.href ? html`<a href=${item.href}>${text}</a>` : html`<span>${text}</span>`}
        ${item.more}
      </li>`;
    })}
  </ul>`;
}

// The turns of an agent: `chat → tools get_weather, search → chat`; equal turns share a line.
export function Turns({ turns = [] }) {
  const counts = new Map();
  for (const { steps } of turns.filter(({ steps }) => steps.length > 1 || steps[0].tools.length)) {
    const text = steps.map(describeStep).join(" → ");
    counts.set(text, (counts.get(text) || 0) + 1);
  }
  if (!counts.size) return null;
  return html`<h2>Turns</h2><ul class="turns" aria-label="Turns of the agent">
    ${[...counts].slice(0, MAX_TURNS).map(([text, count]) => html`<li key=${text}>${text}${count > 1 ? `  ×${count}` : ""}</li>`)}
    ${counts.size > MAX_TURNS && html`<li class="dim">and ${counts.size - MAX_TURNS} other turns</li>`}
  </ul>`;
}

function describeStep({ operation, calls, tools, problem }) {
  const names = [...new Set(tools)].map((name) => {
    const count = tools.filter((other) => other === name).length;
    return count > 1 ? `${name} ×${count}` : name;
  });
  const text = operation + (problem ? ` (${problem})` : "") + (names.length ? ` → tools ${names.join(", ")}` : "");
  return calls === 1 ? text : names.length ? `(${text}) ×${calls}` : `${text} ×${calls}`;
}

export const Empty = ({ children }) => html`<div class="empty">${children}</div>`;

export const Command = ({ children }) => html`<code class="command">${children}</code>`;

// The message of a page that has no rows: another filter and time range, or else the command to run.
export function NoCalls({ thing = "calls", params }) {
  const isFiltered = Boolean(params.q);
  const isAll = params.since === "all" && !params.until;
  return html`<${Empty}>
    <p><b>No ${thing} ${isFiltered ? "match the filter in this time range" : isAll ? "yet" : "in this time range"}.</b></p>
    ${isFiltered && html`<p><a href=${makeHref(location.pathname, { q: null })}>Remove the filter</a></p>`}
    ${!isAll &&
    html`<p><a href=${makeHref(location.pathname, { since: "all", until: null })}>Look at all times</a></p>`}
    ${!isFiltered &&
    html`<p>Record a program, and its calls appear here:</p>
      <${Command}>lupis-run python my_agent.py<//>
      <p>Nothing appears? This command says why: <code>lupis doctor</code></p>`}
  <//>`;
}

// The message of a failed request; data that was there before stays on the page.
export function Problem({ error }) {
  return error ? html`<p class="problem" role="alert">${error.message}</p>` : null;
}

export function Loading({ answer, children }) {
  if (answer.data) return html`<${Problem} error=${answer.error} />${children(answer.data)}`;
  return answer.error
    ? html`<${Problem} error=${answer.error} />`
    : html`<p class="loading" aria-busy="true">Reading …</p>`;
}

export function ShareBar({ value }) {
  if (value === null || value === undefined) return format.UNKNOWN;
  return html`<span class="share">
    <span class="track" aria-hidden="true"><span style=${{ width: `${Math.min(value, 1) * 100}%` }}></span></span>
    <span class="share-text">${format.formatShare(value)}</span>
  </span>`;
}
