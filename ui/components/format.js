// How money, names and times are written on the floor. Pure functions.

const language = globalThis.document?.documentElement.lang || "en";
const formatters = new Map(); // building an Intl formatter is slow, and every card needs one

function formatter(currency, options) {
  const key = currency + JSON.stringify(options);
  if (!formatters.has(key)) {
    formatters.set(key, new Intl.NumberFormat(language, { style: "currency", currency, ...options }));
  }
  return formatters.get(key);
}

const plain = new Intl.NumberFormat(language);

/** 2997 -> "2,997" */
export function count(number) {
  return plain.format(number);
}

/** 18000, "EUR" -> "€18k"; 2431000 -> "€2.4M"; "" for a value that is unknown or hidden from this viewer. */
export function money(value, currency = "EUR") {
  if (value === null || value === undefined) return "";
  const maximumFractionDigits = Math.abs(value) < 999_500 ? 0 : 1;
  const parts = formatter(currency, { notation: "compact", maximumFractionDigits }).formatToParts(value);
  return parts.map((part) => (part.type === "compact" && part.value === "K" ? "k" : part.value)).join("");
}

export function moneyInFull(value, currency = "EUR") {
  if (value === null || value === undefined) return "";
  return formatter(currency, { maximumFractionDigits: 0 }).format(value);
}

/** "Asha Rao" -> "AR" */
export function initials(name) {
  const words = (name || "?").trim().split(/\s+/);
  const chosen = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return chosen.map((word) => Array.from(word)[0] ?? "").join("").toUpperCase();
}

/** A colour that a name always gets, of even lightness, so that white letters can be read on it. */
export function tint(name) {
  let hue = 0;
  for (const letter of name || "") hue = (hue * 31 + letter.codePointAt(0)) % 360;
  return `oklch(0.6 0.13 ${hue})`;
}

const SOURCES = [
  [/whats/i, "#22c55e"],
  [/instagram/i, "#ec4899"],
  [/meta|facebook|messenger/i, "#3b82f6"],
  [/google|search/i, "#eab308"],
  [/linkedin/i, "#0a66c2"],
  [/mail/i, "#f97316"],
  [/phone|call/i, "#06b6d4"],
  [/refer|partner/i, "#a855f7"],
  [/web|chat|form|site/i, "#6366f1"],
];

export function sourceColor(source) {
  return SOURCES.find(([pattern]) => pattern.test(source || ""))?.[1] ?? "#94a3b8";
}

/** Seconds as the largest fitting unit: 42 -> "42s", 130 -> "2m", 90000 -> "1d". */
export function span(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

/** How long ago a moment was, in few letters; `now` in ms. */
export function ago(iso, now) {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (!(seconds >= 5)) return "now";
  if (seconds < 14 * 86400) return span(seconds);
  return new Date(iso).toLocaleDateString(language, { day: "numeric", month: "short" });
}

/** The same as part of a sentence: "3d ago", "just now", "2 Nov". */
export function agoInWords(iso, now) {
  const text = ago(iso, now);
  if (text === "now") return "just now";
  return /^\d+[smhd]$/.test(text) ? `${text} ago` : text;
}

/** A customer who waits: {text, level} with level ok (< 15 min), warn (< 60 min) or late. */
export function waiting(iso, now) {
  if (!iso) return null;
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1000);
  const text = seconds < 5 ? "now" : span(seconds);
  return { text, level: seconds < 900 ? "ok" : seconds < 3600 ? "warn" : "late" };
}

/** A promised next step: {text, level} once it is due within a day or overdue, else null. */
export function followup(iso, now) {
  if (!iso) return null;
  const seconds = (Date.parse(iso) - now) / 1000;
  if (seconds > 86400) return null;
  return { text: span(Math.abs(seconds)), level: seconds < 0 ? "late" : "calm" };
}

const clockTime = new Intl.DateTimeFormat(language, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "short", hourCycle: "h23" });

export function timeOfDay(ms) {
  return clockTime.format(ms);
}

export function dateAndTime(iso) {
  return moment.format(Date.parse(iso));
}
