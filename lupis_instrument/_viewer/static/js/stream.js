// Reports changes of the store. Browsers allow six connections to a server, so one page of all that
// are open holds the connection, and passes each change on to the others.

const listeners = new Set();
const channel = "BroadcastChannel" in globalThis ? new BroadcastChannel("lupis") : null;
let isPaused = false;
let state = "connecting";
let missed = false;

function report(kind) {
  const wasLost = state === "lost";
  if (kind !== "change") state = kind;
  if (kind === "live" && wasLost) report("change");
  if (kind === "change" && (isPaused || document.hidden)) missed = true;
  else listeners.forEach((listen) => listen(kind));
}

function share(kind) {
  report(kind);
  channel?.postMessage(kind);
}

function connect() {
  const source = new EventSource("/api/stream");
  source.onopen = () => share("live");
  source.onerror = () => {
    share("lost");
    if (source.readyState === EventSource.CLOSED) setTimeout(connect, 3000);
  };
  source.addEventListener("change", () => share("change"));
  if (channel) {
    channel.onmessage = ({ data }) => (data === "hello" ? channel.postMessage(state) : report(data));
  }
}

export function startStream() {
  document.addEventListener("visibilitychange", reportMissed);
  if (!channel || !navigator.locks) return connect();
  channel.onmessage = ({ data }) => data !== "hello" && report(data);
  channel.postMessage("hello");
  // The lock is free again when the page that holds it closes.
  navigator.locks.request("lupis-stream", () => {
    connect();
    return new Promise(() => {});
  });
}

function reportMissed() {
  if (!missed || isPaused || document.hidden) return;
  missed = false;
  report("change");
}

export function setPaused(value) {
  isPaused = value;
  report(state);
  reportMissed();
}

export const readState = () => (isPaused ? "paused" : state);

export function listenToStream(listen) {
  listeners.add(listen);
  return () => listeners.delete(listen);
}
