// Charts over time, as SVG. Dragging over a chart chooses a time range.
import { html, useRef, useState } from "./preact.js";
import { changeHref, navigate } from "./location.js";
import { formatClock, formatDate, formatTime } from "./format.js";

const DAY = 24 * 3_600_000;
const HEIGHT = 100;
const GAP = 0.16;
const MAX_WIDTH = 40;
const LABELS = 6;

// layers: [{ values, colour }], each drawn over the last one; describe(index) is the text for a point.
export function TimeChart({ label, times, stepMs, layers, describe, formatAxis, tall }) {
  const area = useRef();
  const [drag, setDrag] = useState(null);
  const [pointer, setPointer] = useState(null);
  const high = roundUp(Math.max(0, ...layers.flatMap((layer) => layer.values)));
  const startMs = times[0];
  const spanMs = times[times.length - 1] + stepMs - startMs;

  const locate = (event) => {
    const box = area.current.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const begin = (event) => {
    if (event.button) return;
    area.current.setPointerCapture(event.pointerId);
    setDrag([locate(event), locate(event)]);
  };
  const move = (event) => {
    setPointer(locate(event));
    if (drag) setDrag([drag[0], locate(event)]);
  };
  const end = () => {
    if (!drag) return;
    const [from, to] = [...drag].sort((a, b) => a - b);
    setDrag(null);
    if (to - from < 0.005) return;
    navigate(changeHref({ since: Math.round(startMs + from * spanMs), until: Math.round(startMs + to * spanMs) }));
  };

  const index = pointer === null ? -1 : findPoint(times, startMs + pointer * spanMs, stepMs);
  const text = times[index] === undefined ? "drag over the chart to choose a time range"
    : `${formatTime(times[index])}  ${describe(index)}`;
  const percent = (share) => `${share * 100}%`;
  return html`<figure class=${`chart ${tall ? "tall" : ""}`}>
    <div class="plot">
      <span class="high" aria-hidden="true">${formatAxis(high)}</span>
      <div class="area" ref=${area} onPointerDown=${begin} onPointerMove=${move} onPointerUp=${end}
        onPointerCancel=${() => setDrag(null)} onPointerLeave=${() => setPointer(null)}>
        <svg viewBox=${`0 0 1000 ${HEIGHT}`} preserveAspectRatio="none" role="img" aria-label=${label}>
          ${layers.map((layer) => html`<path key=${layer.colour} class=${layer.colour}
            d=${drawBars(layer.values, high, times, startMs, spanMs, stepMs)} />`)}
        </svg>
        ${drag && html`<span class="brush" style=${{ left: percent(Math.min(...drag)), width: percent(Math.abs(drag[1] - drag[0])) }}></span>`}
      </div>
    </div>
    <div class="times" aria-hidden="true">${[...Array(LABELS).keys()].map((part) =>
      html`<span key=${part}>${labelTime(startMs + (spanMs * part) / (LABELS - 1), spanMs)}</span>`)}</div>
    <figcaption><span>${label}</span><span class="point">${text}</span></figcaption>
  </figure>`;
}

function drawBars(values, high, times, startMs, spanMs, stepMs) {
  const width = Math.min((stepMs / spanMs) * 1000 * (1 - GAP), MAX_WIDTH);
  return values.map((value, index) => {
    if (!value) return "";
    const left = ((times[index] - startMs) / spanMs) * 1000;
    const top = Math.min(HEIGHT - 1.5, HEIGHT * (1 - value / high));
    return `M${left.toFixed(2)} ${HEIGHT}V${top.toFixed(2)}h${width.toFixed(2)}V${HEIGHT}z`;
  }).join("");
}

function findPoint(times, ms, stepMs) {
  return times.findIndex((time) => ms >= time && ms < time + stepMs);
}

// The next number of the form 1, 2 or 5 times a power of ten.
function roundUp(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((factor) => factor * power).find((number) => number >= value * 0.999);
}

const labelTime = (ms, spanMs) =>
  spanMs > 5 * DAY ? formatDate(ms)
    : spanMs > DAY ? `${formatDate(ms)} ${formatClock(ms).slice(0, 5)}`
      : formatClock(ms).slice(0, spanMs < 600_000 ? 8 : 5);

// One bar of a call: the time to the first token, then the rest.
export function CallBar({ call, startMs = call.at_ms, spanMs }) {
  const percent = (ms) => `${Math.max(0, Math.min(100, (ms / (spanMs || 1)) * 100))}%`;
  const hasFirst = call.first_token_ms !== null && call.first_token_ms !== undefined;
  const first = hasFirst ? Math.min(call.first_token_ms, call.duration_ms) : 0;
  return html`<span class="bar-box" aria-hidden="true">
    <span class=${`bar ${call.error ? "failed" : ""} ${hasFirst ? "" : "whole"}`}
      style=${{ marginLeft: percent(call.at_ms - startMs), width: percent(call.duration_ms) }}>
      ${hasFirst && html`<span class="first" style=${{ width: `${(first / (call.duration_ms || 1)) * 100}%` }}></span>`}
    </span>
  </span>`;
}
