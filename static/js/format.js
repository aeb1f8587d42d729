/** Numbers, ages and intervals as words. Pure. */

/**
 * A reading's value as the server would print it.
 * @param {number|boolean|string|null} value
 * @param {number} decimals
 * @returns {string}
 */
export function formatValue(value, decimals) {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "On" : "Off";
  if (typeof value === "number") return Number.isFinite(value) ? value.toFixed(decimals) : "–";
  return value;
}

/** @type {[number, number, string][]} up to so many seconds: divide by, unit */
const STEPS = [
  [60, 1, "s"],
  [3600, 60, "min"],
  [172_800, 3600, "h"],
  [34_560_000, 86_400, "d"],
  [Infinity, 31_557_600, "y"],
];

/**
 * A duration in its largest sensible unit: "12 s", "5 min", "3 h", "4 d".
 * @param {number} seconds not negative
 * @returns {string}
 */
export function durationWords(seconds) {
  const [, divisor, unit] = STEPS.find(([limit]) => seconds < limit) ?? STEPS[0];
  return `${Math.floor(seconds / divisor)} ${unit}`;
}

/**
 * How long ago, or how soon: "now", "12 s ago", "in 40 s".
 * @param {number} seconds negative for the future
 * @returns {string}
 */
export function ageWords(seconds) {
  if (seconds < -1) return `in ${durationWords(-seconds)}`;
  return seconds < 1 ? "now" : `${durationWords(seconds)} ago`;
}

/**
 * When something is due: "in 40 s", "now", "12 s overdue".
 * @param {number} seconds since it was due; negative for the future
 * @returns {string}
 */
export function dueWords(seconds) {
  return seconds < 5 ? ageWords(Math.min(0, seconds)) : `${durationWords(seconds)} overdue`;
}

/**
 * An interval without rounding it away: 90 is "90 s", 300 is "5 min".
 * @param {number} seconds
 * @returns {string}
 */
export function intervalWords(seconds) {
  if (seconds % 86_400 === 0) return `${seconds / 86_400} d`;
  if (seconds % 3600 === 0) return `${seconds / 3600} h`;
  if (seconds % 60 === 0) return `${seconds / 60} min`;
  return `${seconds} s`;
}

/**
 * @param {string} word
 * @returns {string} the word with a capital letter
 */
export function capitalise(word) {
  return word.charAt(0).toUpperCase() + word.slice(1);
}
