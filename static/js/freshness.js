/**
 * How much a value may be trusted by its age. The rule and its factors are the server's: they come with the page,
 * so that browser and server cannot disagree. Nothing is ever late that is not expected at some interval.
 */

const lateFactor = Number(document.body.dataset.lateFactor);
const staleFactor = Number(document.body.dataset.staleFactor);
const grace = Number(document.body.dataset.grace); // seconds, for queueing and delivery

/**
 * @param {number} ageSeconds
 * @param {number} expectedEvery seconds, or NaN when nothing is expected
 * @returns {"live"|"late"|"stale"}
 */
export function freshness(ageSeconds, expectedEvery) {
  if (!(expectedEvery > 0)) return "live";
  if (ageSeconds > expectedEvery * staleFactor + grace) return "stale";
  if (ageSeconds > expectedEvery * lateFactor + grace) return "late";
  return "live";
}
