// Numbers, times and sizes as people read them; the same words as `views/wording.py`.

export function numberText(value) {
  return Math.round(value || 0).toLocaleString("en-US");
}

export function timeText(seconds) {
  for (const [unit, size] of [["d", 86400], ["h", 3600], ["min", 60]])
    if (seconds >= 2 * size)
      return `${(seconds / size).toFixed(seconds >= 10 * size ? 0 : 1)} ${unit}`;
  if (seconds >= 1) return `${seconds.toFixed(seconds >= 10 ? 0 : 1)} s`;
  if (seconds >= 1e-3) return `${Number((seconds * 1e3).toPrecision(3))} ms`;
  return seconds > 0 ? `${Number((seconds * 1e6).toPrecision(3))} us` : "0 s";
}

export function memoryText(size) {
  for (const [unit, factor] of [["TB", 1e12], ["GB", 1e9], ["MB", 1e6], ["kB", 1e3]])
    if (size >= factor) return `${Number((size / factor).toPrecision(3))} ${unit}`;
  return size ? `${size} B` : "";
}

export function rateText(value) {
  if (value >= 10) return `${numberText(value)}/s`;
  if (value >= 0.1) return `${Number(value.toPrecision(2))}/s`;
  return value > 0 ? `${Number((value * 3600).toPrecision(2))}/h` : "0/s";
}

// Tags of tasks that were asked for as functions begin with a sign of our own.
export function tagText(name) {
  return name.replace(/^@/, "");
}

export function clockText(seconds) {
  return new Date(seconds * 1000).toLocaleString();
}

// Controls and marks of direction, which could make a text look like another one, are shown as such.
export function printable(text) {
  return String(text).replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
