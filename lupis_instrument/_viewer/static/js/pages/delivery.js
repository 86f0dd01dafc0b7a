// The outbox, refused items and the store; and the events that programs tracked.
import { html } from "../preact.js";
import * as format from "../format.js";
import { useApi, useQuestion } from "../api.js";
import { conversationHref, runHref } from "../location.js";
import { Command, Empty, Loading, NoCalls, Page, Stats, Table, Time } from "../parts.js";

export function DeliveryPage() {
  const answer = useApi("/api/delivery");
  return html`<${Page} title="Delivery">
    <${Loading} answer=${answer}>${({ outbox, refused, store }) => html`
      <h2>Outbox</h2>
      ${outbox.waiting ? html`<${Stats} label="Outbox" items=${[
          { value: format.formatCount(outbox.waiting), label: "items wait for an endpoint" },
          { value: format.formatBytes(outbox.bytes), label: "size" },
          { value: format.formatAge(outbox.oldest_ms), label: "oldest" }]} />
        <p>Send them now: <code>lupis flush</code> To another endpoint: <code>lupis flush --to URL</code></p>`
        : html`<${Empty}><p><b>Nothing waits.</b> Spans without an endpoint stay in the store below.</p><//>`}
      <h2>Refused</h2>
      <${Table} label="Refused items" rows=${refused} empty=${html`<${Empty}><p><b>No endpoint refused anything.</b></p><//>`} columns=${[
        { title: "endpoint", class: "main", cell: (row) => row.endpoint },
        { title: "items", number: true, width: "7em", cell: (row) => format.formatCount(row.items) },
        { title: "last", width: "9em", class: "nowrap", cell: (row) => html`<${Time} ms=${row.at_ms} />` },
      ]} />
      ${refused.length > 0 && html`<p>Send them again, and see why an endpoint refuses them: <code>lupis flush</code></p>`}
      <h2>Store</h2>
      <${Stats} label="Store" items=${[
        { value: format.formatCount(store.items), label: "items" },
        { value: format.formatBytes(store.bytes), label: store.limit_bytes ? `of at most ${format.formatBytes(store.limit_bytes)}` : "size", key: "size" },
        { value: html`<code>${store.path || format.UNKNOWN}</code>`, label: "", key: "path" }]} />
      <p class="dim">Would your program be recorded, and where would its spans go?</p>
      <${Command}>lupis doctor<//>`}<//>
  <//>`;
}

export function EventsPage() {
  const question = useQuestion();
  const answer = useApi("/api/events", { since: question.since, limit: 200 });
  return html`<${Page} title="Events">
    <${Loading} answer=${answer}>${({ events }) => html`<${Table} label="Events" rows=${events} rowKey=${(event) => event.id}
      empty=${question.since === "all"
        ? html`<${Empty}><p><b>No events yet.</b></p><p>A program tracks one with a line of code:</p><${Command}>lupis.track_event("feature_used", {"feature": "export"})<//><//>`
        : html`<${NoCalls} thing="events" params=${{ since: question.since }} />`}
      columns=${[
        { title: "time", width: "8em", class: "nowrap", cell: (event) => html`<${Time} ms=${event.at_ms} />` },
        { title: "event", width: "22%", cell: (event) => event.name },
        { title: "properties", class: "main", cell: (event) => Object.entries(event.properties || {}).map(([name, value]) => `${name}=${format.formatValue(value)}`).join("  ") },
        { title: "conversation", width: "12em", level: 2, cell: (event) => event.chat && html`<a class="plain" href=${conversationHref(event.chat)}>${event.chat}</a>` },
        { title: "user", width: "8em", level: 2, cell: (event) => event.user },
        { title: "run", width: "6em", cell: (event) => event.run && html`<a class="plain" href=${runHref(event.run)}>${event.run.slice(0, 8)}</a>` },
      ]} />`}<//>
  <//>`;
}
