/** A metric's history as the chart needs it: points, gaps, and what they say in words. Pure but for the fetch. */

/**
 * @typedef {Object} Point
 * @property {number} at seconds since 1970
 * @property {number} value mean of the bucket, or the reading itself
 * @property {number} min
 * @property {number} max
 * @property {boolean} [broken] the server found a gap before this point
 *
 * @typedef {Object} Part a stretch of the chart and where it came from
 * @property {"raw"|"archive"|"hour"|"day"|"month"} tier
 * @property {number|null} bucket_s seconds; null for single readings
 * @property {number} start seconds since 1970
 * @property {number} end
 *
 * @typedef {Object} History
 * @property {Point[]} points oldest first
 * @property {number} bucket seconds; 0 for single readings
 * @property {Part[]} parts oldest first
 * @property {string} away why it is coarser than it might be, in words; empty: it is not
 *
 * @typedef {Object} Summary
 * @property {number} min
 * @property {number} max
 * @property {number} mean
 * @property {"rising"|"falling"|"steady"} trend
 */

/** A line is broken where two points are further apart than so many steps; the server's own rule. */
const GAP_STEPS = 3;
/** The trend is that of the newest part of the range: of a day, the last hour and a half. */
const RECENT = 16;
/** A change below this part of the range's own spread counts as steady. */
const STEADY = 0.05;

/**
 * @param {string} url
 * @param {AbortSignal} signal
 * @returns {Promise<History>}
 */
export async function fetchHistory(url, signal) {
  const response = await fetch(url, {
    cache: "no-store",
    headers: { Accept: "application/json" },
    signal,
  }).catch((error) => {
    throw signal.aborted ? error : new Error("There is no connection to the server.");
  });
  if (response.status === 401 || response.status === 403) {
    throw new Error("Your session has ended. Log in again, then come back.");
  }
  if (response.status === 503) throw new Error(await refusal(response));
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return readHistory(await response.json());
}

/**
 * Why the server cannot answer now, in its own words where it has any.
 * @param {Response} response
 * @returns {Promise<string>}
 */
async function refusal(response) {
  const answer = await response.json().catch(() => null);
  return answer?.errors?.[0]?.detail ?? "The server answered 503.";
}

/**
 * @param {any} answer
 * @returns {History}
 */
function readHistory(answer) {
  /** @type {Point[]} */
  const points = [];
  let broken = false;
  for (const [index, at] of answer.at.entries()) {
    const value = answer.avg[index];
    if (typeof value === "number") {
      points.push({ at, value, min: answer.min[index], max: answer.max[index], broken });
    }
    broken = value === null; // the server says: no line across here
  }
  return { points, bucket: answer.bucket_s ?? 0, parts: answer.parts ?? [], away: answer.away ?? "" };
}

const FROM = {
  raw: "single readings",
  archive: "single readings in the archive",
  hour: "hourly values",
  day: "daily values",
  month: "monthly values",
};
const LENGTHS = /** @type {const} */ ([
  [2_678_400, "month"],
  [86_400, "day"],
  [3600, "hour"],
  [60, "minute"],
]);

/**
 * @param {Part} part
 * @returns {string} where a stretch came from, in words
 */
function partWords({ tier, bucket_s: bucket }) {
  if (bucket === null) return `from ${FROM[tier]}`;
  const [length, name] = LENGTHS.find(([seconds]) => bucket % seconds === 0) ?? [1, "second"];
  const count = bucket / length;
  const every = count === 1 ? `one point ${name === "hour" ? "an" : "a"} ${name}` : `one point every ${count} ${name}s`;
  return `from ${FROM[tier]}, ${every}`;
}

/**
 * What the chart was drawn from, as a quiet sentence, and why not from more; nothing while there is nothing.
 * @param {History} history
 * @param {(at: number) => string} day how a day is written
 * @returns {string}
 */
export function sourceWords({ parts, away }, day) {
  const words = parts.map((part) => {
    const since = part === parts[0] ? "" : `since ${day(part.start)} `;
    return since + partWords(part);
  });
  const sentence = words.join("; ");
  return sentence && `${sentence[0].toUpperCase()}${sentence.slice(1)}. ${away}`.trim();
}

/**
 * How far apart two neighbours may be before the line is broken.
 * @param {number} bucket seconds
 * @param {number} expectedEvery seconds, or NaN
 * @param {Point[]} points used when neither is known
 * @returns {number} seconds
 */
export function gapSeconds(bucket, expectedEvery, points) {
  const step = Math.max(bucket, expectedEvery > 0 ? expectedEvery : 0);
  if (step > 0) return step * GAP_STEPS;
  const steps = points.slice(1).map((point, index) => point.at - points[index].at);
  const median = steps.sort((a, b) => a - b)[Math.floor(steps.length / 2)];
  return median ? median * GAP_STEPS : Infinity;
}

/**
 * Columns for the chart; a gap becomes a null, which ends the line there.
 * @param {Point[]} points
 * @param {number} gap seconds
 * @returns {{columns: [number[], (number|null)[], (number|null)[], (number|null)[]], gaps: [number, number][], alone: number[]}}
 *   `alone`: indexes of points with a gap on both sides, which a line would not show
 */
export function toColumns(points, gap) {
  /** @type {[number[], (number|null)[], (number|null)[], (number|null)[]]} */
  const columns = [[], [], [], []];
  /** @type {[number, number][]} */
  const gaps = [];
  /** @type {number[]} */
  const alone = [];
  const [times, values, lows, highs] = columns;
  /** @type {(a: Point|undefined, b: Point|undefined) => boolean} */
  const apart = (a, b) => !a || !b || b.broken === true || b.at - a.at > gap;
  points.forEach((point, index) => {
    const before = points[index - 1];
    const opens = apart(before, point);
    if (before && opens) {
      gaps.push([before.at, point.at]);
      times.push((before.at + point.at) / 2);
      [values, lows, highs].forEach((column) => column.push(null));
    }
    if (opens && apart(point, points[index + 1])) alone.push(times.length);
    times.push(point.at);
    values.push(point.value);
    lows.push(point.min);
    highs.push(point.max);
  });
  return { columns, gaps, alone };
}

/**
 * @param {Point[]} points
 * @returns {number} their mean
 */
function mean(points) {
  return points.reduce((sum, point) => sum + point.value, 0) / points.length;
}

/**
 * @param {Point[]} points at least one
 * @returns {Summary}
 */
export function summarise(points) {
  const min = points.reduce((least, point) => Math.min(least, point.min), Infinity);
  const max = points.reduce((most, point) => Math.max(most, point.max), -Infinity);
  const recent = points.slice(-Math.max(2, Math.ceil(points.length / RECENT)));
  const half = Math.ceil(recent.length / 2);
  const change = mean(recent.slice(-half)) - mean(recent.slice(0, half));
  const steady = Math.abs(change) <= (max - min) * STEADY;
  return {
    min,
    max,
    mean: mean(points),
    trend: steady ? "steady" : change > 0 ? "rising" : "falling",
  };
}

/**
 * @param {Point[]} points
 * @returns {string} comma-separated values, times in UTC
 */
export function toCsv(points) {
  const rows = points.map(
    ({ at, value, min, max }) => `${new Date(at * 1000).toISOString()},${value},${min},${max}`,
  );
  return ["at,value,lowest,highest", ...rows, ""].join("\n");
}
