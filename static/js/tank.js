/** Tanks drawn at their level. The level is an attribute of the drawing, never a style: the strict policy allows it. */

const FULL = 84; // units of the drawing between empty and full
const MOVE_MS = 900;

/** @type {WeakMap<Element, number>} the level each drawing shows now */
const shown = new WeakMap();

/**
 * @param {Element} water
 * @param {number} percent
 */
function draw(water, percent) {
  const height = (Math.min(100, Math.max(0, percent)) * FULL) / 100;
  water.setAttribute("transform", `translate(0 ${height.toFixed(2)})`);
  shown.set(water, percent);
}

/**
 * @param {Element} water
 * @param {number} from
 * @param {number} to
 */
function move(water, from, to) {
  const start = performance.now();
  /** @param {number} time */
  function step(time) {
    const part = Math.min(1, Math.max(0, (time - start) / MOVE_MS));
    draw(water, from + (to - from) * (1 - (1 - part) ** 3));
    if (part < 1) requestAnimationFrame(step);
  }
  requestAnimationFrame(step);
}

/**
 * Shows a new level.
 * @param {SVGElement} tank
 * @param {number} percent
 */
export function setLevel(tank, percent) {
  const water = tank.querySelector("[data-tank-water]");
  if (!water || !Number.isFinite(percent)) return;
  const from = shown.get(water) ?? Number(tank.dataset.level);
  tank.dataset.level = percent.toFixed(1);
  tank.setAttribute("aria-label", `Level ${percent.toFixed(0)} percent`);
  const calm = document.hidden || matchMedia("(prefers-reduced-motion: reduce)").matches;
  if (calm || Math.abs(percent - from) < 0.1) draw(water, percent);
  else move(water, from, percent);
}

/**
 * The level that a reading means for this tank, or NaN if it is about something else.
 * @param {SVGElement} tank
 * @param {string} metric
 * @param {unknown} value
 * @returns {number}
 */
export function levelFrom(tank, metric, value) {
  const full = Number(tank.dataset.levelFull);
  if (tank.dataset.levelMetric !== metric || typeof value !== "number" || !(full > 0)) return NaN;
  return (value / full) * 100;
}

/** Draws every tank exactly; the server rounds to whole units. */
export function prepareTanks() {
  for (const element of document.querySelectorAll("[data-tank]")) {
    const tank = /** @type {SVGElement} */ (element);
    const water = tank.querySelector("[data-tank-water]");
    if (water && !shown.has(water)) draw(water, Number(tank.dataset.level));
  }
}
