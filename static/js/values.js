/** Puts readings where they are shown: numbers, their ages, tank levels. */

import { setAge } from "./ages.js";
import { formatValue } from "./format.js";
import { levelFrom, setLevel } from "./tank.js";

/** @typedef {import("./types.js").Reading} Reading */

const ORIGINS = /** @type {Record<string, string>} */ ({
  backfill: "filled in later",
  import: "imported",
  cache: "cached",
});

/** @type {Map<string, Reading>} the newest reading of each metric, by reading time and never by arrival */
const latest = new Map();

/**
 * Keeps what is news.
 * @param {Reading[]} readings
 * @returns {Iterable<Reading>} the newest of each metric among them
 */
function keepNewest(readings) {
  /** @type {Map<string, Reading>} */
  const news = new Map();
  for (const reading of readings) {
    const key = `${reading.device} ${reading.metric}`;
    const known = latest.get(key);
    if (known && isOutdated(reading, known)) continue;
    latest.set(key, reading);
    news.set(key, reading);
  }
  return news.values();
}

/**
 * Whether a reading comes before another, or is what the other was before it was revised.
 * @param {Reading} reading
 * @param {Reading} known
 */
function isOutdated(reading, known) {
  const apart = Date.parse(reading.at) - Date.parse(known.at) || (reading.sequence ?? 0) - (known.sequence ?? 0);
  return apart < 0 || (apart === 0 && known.revised === true && !reading.revised);
}

/**
 * @param {string} device
 * @param {string} [also] what else its elements must match
 * @returns {string} a selector
 */
function shown(device, also = "") {
  return `[data-device="${CSS.escape(device)}"]${also}`;
}

/**
 * @param {string|undefined} at the instant shown now
 * @param {string} candidate
 */
function isNewer(at, candidate) {
  return !at || Date.parse(candidate) > Date.parse(at);
}

/**
 * Of the same instant, only a revised reading takes the place of what is shown: that may have been fetched since.
 * @param {string|undefined} at the instant shown now
 * @param {Reading} reading
 */
function replaces(at, reading) {
  return isNewer(at, reading.at) || (reading.revised === true && Date.parse(reading.at) === Date.parse(at ?? ""));
}

/**
 * @param {HTMLElement} element
 * @param {Reading} reading
 */
function paintValue(element, reading) {
  if (!replaces(element.dataset.at, reading)) return;
  element.dataset.at = reading.at;
  element.dataset.exact = String(reading.value);
  const number = element.querySelector("[data-value]");
  const text = formatValue(reading.value, Number(element.dataset.decimals));
  if (number && number.textContent !== text) {
    number.textContent = text;
    element.classList.remove("value-flash");
    requestAnimationFrame(() => element.classList.add("value-flash"));
  }
  const card = element.closest(".metric");
  if (!card) return;
  setAge(card.querySelector("time[data-age]"), reading.at);
  const origin = card.querySelector("[data-origin]");
  if (!(origin instanceof HTMLElement)) return;
  origin.textContent = ORIGINS[reading.origin ?? ""] ?? "";
  origin.hidden = !origin.textContent;
}

/**
 * @param {HTMLElement} root
 * @param {Reading} reading
 */
function paintDevice(root, reading) {
  const selector = `.value[data-metric="${CSS.escape(reading.metric)}"]`;
  for (const element of root.querySelectorAll(selector)) {
    paintValue(/** @type {HTMLElement} */ (element), reading);
  }
  if (!isNewer(root.dataset.at, reading.at)) return;
  root.dataset.at = reading.at;
  setAge(root.querySelector("[data-last] time"), reading.at);
}

/**
 * @param {HTMLElement} root
 * @param {Reading} reading
 */
function paintTanks(root, reading) {
  for (const element of root.querySelectorAll("[data-tank]")) {
    const tank = /** @type {SVGElement} */ (element);
    const percent = levelFrom(tank, reading.metric, reading.value);
    if (!Number.isFinite(percent) || !replaces(tank.dataset.at, reading)) continue;
    tank.dataset.at = reading.at;
    setLevel(tank, percent);
    const text = root.querySelector("[data-level-text]");
    if (text) text.textContent = percent.toFixed(0);
  }
}

/**
 * @param {Reading[]} readings of any device, in any order
 * @returns {boolean} whether a device shown as new reports for the first time: no message tells its state
 */
export function paintReadings(readings) {
  paint(keepNewest(readings));
  return readings.some(({ device }) => document.querySelector(shown(device, '[data-state="new"]')));
}

/**
 * When a topic's newest reading was taken, where the page says so: on the card of a community.
 * @param {string|undefined} topic
 * @param {Reading[]} readings
 */
export function paintTopic(topic, readings) {
  const time = topic && document.querySelector(`[data-topic="${CSS.escape(topic)}"] time`);
  if (!(time instanceof HTMLTimeElement)) return;
  for (const { at } of readings) if (isNewer(time.dateTime, at)) setAge(time, at);
}

/** Once more all that was heard: parts of the page fetched meanwhile may be older than that. */
export function repaintReadings() {
  paint(latest.values());
}

/**
 * What is shown may be wrong by now, at the same instant (readings were recalculated) or at an older one (the newest
 * was taken out): whatever is told next is painted.
 */
export function forgetReadings() {
  latest.clear();
  for (const element of document.querySelectorAll("[data-device] [data-at], [data-device][data-at]")) {
    element.removeAttribute("data-at");
  }
}

/** @param {Iterable<Reading>} readings */
function paint(readings) {
  for (const reading of readings) {
    for (const element of document.querySelectorAll(shown(reading.device))) {
      const root = /** @type {HTMLElement} */ (element);
      paintDevice(root, reading);
      paintTanks(root, reading);
    }
  }
}
