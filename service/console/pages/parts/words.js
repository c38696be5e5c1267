/** Numbers and times as people read them. */

const COUNT = new Intl.NumberFormat("en");
// Twenty-four hours for all: the logs have them too.
const DAY = new Intl.DateTimeFormat(undefined, { year: "numeric", month: "short", day: "numeric" });
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });

export const NONE = "–";

export function count(number) {
  return number === null || number === undefined ? NONE : COUNT.format(number);
}

/** "1 request", "2 requests". */
export function several(number, one, many = `${one}s`) {
  return `${COUNT.format(number)} ${number === 1 ? one : many}`;
}

/** A length of time in its two largest units: "4.2 s", "3 min 05 s", "2 h 10 min". */
export function length(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return NONE;
  const seconds = Math.max(0, ms) / 1000;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes} min ${String(Math.floor(seconds % 60)).padStart(2, "0")} s`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** How long ago: one unit, since it stands in narrow columns. */
export function ago(ms, now = Date.now()) {
  if (ms === null || ms === undefined) return NONE;
  const seconds = Math.max(0, now - ms) / 1000;
  if (seconds < 1) return "now";
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86400)} d ago`;
}

/** Time of the day, with the day when it is not today's. */
export function moment(ms) {
  if (ms === null || ms === undefined) return NONE;
  const then = new Date(ms);
  const today = then.toDateString() === new Date().toDateString();
  return today ? CLOCK.format(then) : `${DAY.format(then)}, ${CLOCK.format(then)}`;
}

/** The whole instant, as the topics write it: for titles and copies. */
export function instant(ms) {
  return ms === null || ms === undefined ? "" : new Date(ms).toISOString();
}

/** A place in a video: "1:04.5", "1:02:07". */
export function position(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const whole = Math.floor(seconds);
  const tenths = Math.floor((seconds - whole) * 10 + 1e-6);
  const rest = `${String(whole % 60).padStart(2, "0")}${tenths ? `.${tenths}` : ""}`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

export function size(bytes) {
  if (bytes === null || bytes === undefined) return NONE;
  if (bytes < 1024) return `${COUNT.format(bytes)} B`;
  if (bytes < 1024 ** 2) return `${(bytes / 1024).toFixed(1)} KiB`;
  return `${(bytes / 1024 ** 2).toFixed(1)} MiB`;
}

/** An amount of money: two places, more where it would be 0.00. */
export function money(amount, currency) {
  if (amount === null || amount === undefined) return NONE;
  const places = amount !== 0 && Math.abs(amount) < 0.1 ? 4 : 2;
  const digits = amount.toLocaleString("en", { minimumFractionDigits: 2, maximumFractionDigits: places });
  return currency ? `${digits} ${currency}` : digits;
}

/** Begins with a capital and ends with a full stop: for words of the server that stand alone. */
export function sentence(words) {
  const whole = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}
