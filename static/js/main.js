/** Start of every page: what is there gets its behaviour. */

import { paintAges, prepareTimes } from "./ages.js";
import { Batch } from "./batch.js";
import { Indicator } from "./indicator.js";
import { Live } from "./live.js";
import { prepareMenu } from "./menu.js";
import { Refresher } from "./refresh.js";
import { paintFreshness, paintStates } from "./states.js";
import { prepareTanks } from "./tank.js";
import { showAlert } from "./toasts.js";
import { forgetReadings, paintReadings, paintTopic, repaintReadings } from "./values.js";

/** @typedef {import("./types.js").Reading} Reading */

const ENTRY_REFRESH_MS = 20_000; // the device page's last entry and source follow at this pace
const STEADY_REFRESH_MS = 60_000; // what no message tells: devices that fall silent without being on the page

/** @param {string} id of a JSON block */
function data(id) {
  return JSON.parse(document.getElementById(id)?.textContent || "null");
}

/** @param {Refresher} refresher */
function age(refresher) {
  if (paintFreshness()) refresher.request();
  paintAges();
}

function prepare() {
  prepareTimes(document);
  prepareTanks();
  paintFreshness();
  paintAges();
}

async function prepareChart() {
  const section = document.querySelector("[data-chart]");
  if (!(section instanceof HTMLElement)) return null;
  const { prepareDeviceChart } = await import("./device.js");
  return prepareDeviceChart(section);
}

/**
 * Whether the server, when it made this page, had a way to send messages.
 * @param {Document} page
 */
function isFlowing(page) {
  return page.querySelector('[data-live][data-available="false"]') === null;
}

/**
 * @param {Awaited<ReturnType<typeof prepareChart>>} chart
 * @param {Refresher} refresher
 * @returns {Live|null} null on pages that show nothing live
 */
function connect(chart, refresher) {
  const config = document.querySelector("[data-live]");
  const indicatorRoot = document.querySelector("[data-live-indicator]");
  if (!(config instanceof HTMLElement) || !indicatorRoot) return null;
  const indicator = new Indicator(indicatorRoot);
  const device = document.querySelector(".device");
  /** @type {Batch<Reading>} */
  const batch = new Batch((readings) => {
    if (paintReadings(readings)) refresher.request();
    age(refresher);
    chart?.append(readings);
    if (device) refresher.request(ENTRY_REFRESH_MS);
  });
  const live = new Live({
    url: config.dataset.liveUrl ?? "",
    pollUrl: config.dataset.pollUrl ?? "",
    topics: data("live-topics") ?? [],
    since: data("live-since") ?? {},
    onReadings: (readings, topic) => {
      indicator.heard();
      batch.add(readings);
      paintTopic(topic, readings);
    },
    onStates: (states, changes) => {
      indicator.heard();
      if (paintStates(states, changes)) refresher.request();
    },
    onAlerts: (alerts) => {
      indicator.heard();
      alerts.forEach(showAlert);
      refresher.request();
    },
    onSkipped: () => {
      chart?.reload();
    },
    onLost: () => {
      forgetReadings();
      refresher.request();
      chart?.reload();
    },
    onStatus: (status, before) => {
      indicator.show(status);
      // Back again: what the page said of the interruption is over, and lists may have changed meanwhile.
      if (status === "live" && before !== "connecting") refresher.request();
    },
  });
  live.start();
  live.setFlowing(isFlowing(document));
  setInterval(() => indicator.tick(), 1000);
  setInterval(() => {
    if (!document.hidden && !live.over) refresher.request(STEADY_REFRESH_MS);
  }, STEADY_REFRESH_MS);
  return live;
}

prepareMenu();
prepare();
/** @type {Live|null} */
let live = null;
const refresher = new Refresher((page) => {
  prepare();
  repaintReadings();
  live?.setFlowing(isFlowing(page));
});
setInterval(() => age(refresher), 1000);
prepareChart().then((chart) => {
  live = connect(chart, refresher);
});
