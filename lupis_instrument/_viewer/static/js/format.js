// Turns the numbers of the API into text. An unknown value is "–", never 0.

export const UNKNOWN = "–";
const THOUSANDS = new Intl.NumberFormat("en-US");
const MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(" ");

const isKnown = (value) => value !== null && value !== undefined;
const pad = (number, digits = 2) => String(number).padStart(digits, "0");

export function formatCount(value) {
  return isKnown(value) ? THOUSANDS.format(value) : UNKNOWN;
}

// 3,100,000 is "3.1 M".
export function formatShortCount(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value < 10_000) return THOUSANDS.format(value);
  if (value < 1_000_000) return `${trimNumber(value / 1000)} k`;
  return value < 1e9 ? `${trimNumber(value / 1e6)} M` : `${trimNumber(value / 1e9)} G`;
}

const trimNumber = (value) => (value < 100 ? value.toFixed(1).replace(/\.0$/, "") : value.toFixed(0));

export function formatCost(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value === 0) return "$0";
  const size = Math.abs(value);
  const digits = size >= 1 ? 2 : size >= 0.001 ? 4 : 6;
  const sign = value < 0 ? "−" : "";
  if (size < 0.0000005) return `${sign}<$0.000001`;
  const [whole, rest] = size.toFixed(digits).split(".");
  return `${sign}$${THOUSANDS.format(Number(whole))}.${rest}`;
}

// All digits that matter in a sum, for arithmetic that adds up.
export function formatExactCost(value) {
  return isKnown(value) && Math.abs(value) < 1 ? `$${value.toFixed(6)}` : formatCost(value);
}

// A price for a million tokens.
export function formatRate(cost, tokens) {
  const rate = (cost / tokens) * 1e6;
  return `$${Number(rate.toPrecision(4))}`;
}

export function formatDuration(ms) {
  if (!isKnown(ms)) return UNKNOWN;
  if (ms < 1) return `${ms.toFixed(1)} ms`;
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1000).toFixed(ms < 9995 ? 2 : 1)} s`;
  const seconds = Math.round(ms / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} m ${pad(seconds % 60)} s`;
  return minutes < 2880
    ? `${Math.floor(minutes / 60)} h ${pad(minutes % 60)} m`
    : `${Math.floor(minutes / 1440)} d`;
}

export function formatShare(value) {
  return isKnown(value) ? `${Math.round(value * 100)} %` : UNKNOWN;
}

export function formatBytes(value) {
  if (!isKnown(value)) return UNKNOWN;
  if (value < 1000) return `${value} B`;
  const power = Math.min(Math.floor(Math.log10(value) / 3), 3);
  return `${trimNumber(value / 1000 ** power)} ${["B", "kB", "MB", "GB"][power]}`;
}

export function formatClock(ms, withMilliseconds = false) {
  const date = new Date(ms);
  const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map((part) => pad(part)).join(":");
  return withMilliseconds ? `${clock}.${pad(date.getMilliseconds(), 3)}` : clock;
}

export function formatDay(ms) {
  const date = new Date(ms);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export function formatDate(ms) {
  const date = new Date(ms);
  return `${date.getDate()} ${MONTHS[date.getMonth()]}`;
}

// Today's times are clock times; earlier ones start with the day.
export function formatTime(ms) {
  if (!isKnown(ms)) return UNKNOWN;
  const date = new Date(ms);
  if (formatDay(ms) === formatDay(Date.now())) return formatClock(ms);
  const day = `${date.getDate()} ${MONTHS[date.getMonth()]}`;
  return date.getFullYear() === new Date().getFullYear()
    ? `${day} ${formatClock(ms).slice(0, 5)}`
    : `${day} ${date.getFullYear()}`;
}

export function formatFullTime(ms) {
  return isKnown(ms) ? `${formatDay(ms)} ${formatClock(ms, true)}` : UNKNOWN;
}

export function formatAge(ms) {
  return isKnown(ms) ? `${formatDuration(Math.max(0, Date.now() - ms))} ago` : UNKNOWN;
}

export function countNoun(count, noun, plural = `${noun}s`) {
  return `${formatCount(count)} ${count === 1 ? noun : plural}`;
}

// An attribute's value as one text.
export function formatValue(value) {
  if (typeof value === "string") return value;
  if (Array.isArray(value)) return value.map(formatValue).join(", ");
  return typeof value === "object" && value !== null ? JSON.stringify(value) : String(value);
}
