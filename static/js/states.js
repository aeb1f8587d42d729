/**
 * States of devices. The server decides what only it can know (alert, offline, paused, new); growing late and stale
 * follows from age alone, so the page sees it by itself, also when no message comes any more.
 */

import { now } from "./clock.js";
import { capitalise } from "./format.js";
import { freshness } from "./freshness.js";

/** @typedef {import("./types.js").DeviceState} DeviceState */

const BY_AGE = new Set(["online", "late", "stale"]);
const WORDS = /** @type {Record<string, string>} */ ({ live: "Live", late: "Late", stale: "Stale" });

/**
 * @param {HTMLElement} root
 * @param {string} state
 * @param {string} [severity]
 */
function showState(root, state, severity) {
  root.dataset.state = state;
  const badge = root.querySelector("[data-badge]");
  if (!(badge instanceof HTMLElement)) return;
  badge.dataset.state = state;
  const use = badge.querySelector("use");
  const sprite = use?.getAttribute("href")?.split("#")[0];
  if (use && sprite !== undefined) use.setAttribute("href", `${sprite}#i-${state}`);
  const text = badge.querySelector("[data-badge-text]");
  if (text) text.textContent = capitalise(state === "alert" && severity ? severity : state);
}

/** @type {Map<string, string>} what the server last said of each device, shown on this page or not */
const known = new Map();

/**
 * @param {DeviceState[]} items
 * @param {boolean} changes whether each is a change; in a snapshot most say what was known
 * @returns {boolean} whether lists and counters of the page are out of date now
 */
export function paintStates(items, changes) {
  let changed = changes;
  for (const item of items) {
    const said = [item.state, item.severity, item.source].join(" ");
    const before = known.get(item.device);
    changed ||= before !== undefined && before !== said;
    known.set(item.device, said);
    for (const element of document.querySelectorAll(`[data-device="${CSS.escape(item.device)}"]`)) {
      const root = /** @type {HTMLElement} */ (element);
      changed ||= root.dataset.state !== item.state;
      showState(root, item.state, item.severity);
      const reason = root.querySelector("[data-reason]");
      if (!(reason instanceof HTMLElement)) continue;
      reason.textContent = item.reason ?? "";
      reason.hidden = !item.reason;
    }
  }
  return changed;
}

/**
 * @param {HTMLElement} element with data-at and data-expected-every
 * @param {number} instant
 * @returns {"live"|"late"|"stale"|null} null when it never reported
 */
function freshnessOf(element, instant) {
  const at = Date.parse(element.dataset.at ?? "");
  if (!Number.isFinite(at)) return null;
  return freshness((instant - at) / 1000, Number(element.dataset.expectedEvery || NaN));
}

/**
 * Lets values and devices age: called every second and after each batch of readings.
 * @returns {boolean} whether a device changed its state, so that lists and counters are out of date
 */
export function paintFreshness() {
  const instant = now();
  let changed = false;
  for (const element of document.querySelectorAll(".value[data-freshness]")) {
    const value = /** @type {HTMLElement} */ (element);
    const state = freshnessOf(value, instant);
    if (!state || value.dataset.freshness === state) continue;
    value.dataset.freshness = state;
    const card = value.closest(".metric");
    if (!(card instanceof HTMLElement)) continue;
    card.dataset.freshness = state;
    const words = card.querySelector("[data-fresh-text]");
    if (words) words.textContent = WORDS[state];
  }
  for (const element of document.querySelectorAll("[data-device][data-state]")) {
    const root = /** @type {HTMLElement} */ (element);
    if (!BY_AGE.has(root.dataset.state ?? "")) continue;
    const state = freshnessOf(root, instant);
    const name = state === "live" ? "online" : state;
    if (!name || name === root.dataset.state) continue;
    showState(root, name);
    changed = true;
  }
  return changed;
}
