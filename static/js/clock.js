/**
 * The server's clock, as far as the page can know it: ages must be right on a computer whose own clock is wrong.
 * The page carries the instant at which it was made; the browser knows when its first byte arrived.
 */

/** @returns {number} milliseconds to add to this computer's clock */
function measure() {
  const made = Date.parse(document.body.dataset.now ?? "");
  const navigation = /** @type {PerformanceNavigationTiming|undefined} */ (
    performance.getEntriesByType("navigation")[0]
  );
  // A page from a cache was made long ago; its stamp says nothing about the clocks.
  if (!navigation || !Number.isFinite(made) || navigation.transferSize === 0) return 0;
  if (navigation.type === "back_forward") return 0;
  const offset = made - (performance.timeOrigin + navigation.responseStart);
  return Math.abs(offset) > 2000 ? offset : 0;
}

const offset = measure();

/** @returns {number} now on the server's clock, in milliseconds since 1970 */
export function now() {
  return Date.now() + offset;
}
