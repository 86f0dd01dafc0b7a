// The details of a call, on the right of any page: ?open=TRACE/SPAN.
import { html, useRef } from "./preact.js";
import { useApi } from "./api.js";
import { changeHref, openHref, traceHref } from "./location.js";
import { measureSpans } from "./spans.js";
import { Loading } from "./parts.js";
import { CopyButtons, SpanDetails, Waterfall } from "./trace_view.js";

export function Panel({ open }) {
  const [trace, wanted] = open.split("/");
  const answer = useApi(`/api/traces/${encodeURIComponent(trace)}`);
  // The details of the last row stay until the next ones arrive.
  const last = useRef({});
  if (answer.data) last.current = { data: answer.data, wanted };
  const shown = answer.error ? answer : last.current;
  return html`<aside class="panel" aria-label="Details">
    <div class="panel-head">
      <a href=${traceHref(trace, wanted)}>Trace ${trace.slice(0, 8)}</a>
      <span class="actions">
        ${answer.data && html`<${CopyButtons} trace=${answer.data} />`}
        <a class="button" href=${changeHref({ open: null })} aria-label="Close the details" title="esc">✕</a>
      </span>
    </div>
    <${Loading} answer=${shown}>${(data) => {
      const span = data.spans.find(({ span_id: id }) => id === last.current.wanted) || data.spans[0];
      return html`
        ${data.spans.length > 1 && html`<${Waterfall} spans=${data.spans} selected=${span.span_id} spanHref=${(id) => openHref(data.trace_id, id)} />`}
        <${SpanDetails} span=${span} startMs=${measureSpans(data.spans).startMs} />`;
    }}<//>
  </aside>`;
}
