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
import { paintReadings } from "./values.js";

/** @typedef {import("./types.js").Reading} Reading */

const ENTRY_REFRESH_MS = 20_000; // the device page's last entry and source follow at this pace

/** @param {string} id of a JSON block */
function data(id) {
  return JSON.parse(document.getElementById(id)?.textContent || "null");
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

/** @param {Awaited<ReturnType<typeof prepareChart>>} chart */
function connect(chart) {
  const config = document.querySelector("[data-live]");
  const indicatorRoot = document.querySelector("[data-live-indicator]");
  if (!(config instanceof HTMLElement) || !indicatorRoot) return;
  const indicator = new Indicator(indicatorRoot);
  const refresher = new Refresher(prepare);
  const device = document.querySelector(".device");
  /** @type {Batch<Reading>} */
  const batch = new Batch((readings) => {
    paintReadings(readings);
    paintFreshness();
    paintAges();
    chart?.append(readings);
    if (device) refresher.request(ENTRY_REFRESH_MS);
  });
  const live = new Live({
    url: config.dataset.liveUrl ?? "",
    pollUrl: config.dataset.pollUrl ?? "",
    topics: data("live-topics") ?? [],
    since: data("live-since") ?? {},
    onReadings: (readings) => {
      indicator.heard();
      batch.add(readings);
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
    onLost: () => {
      refresher.request();
      chart?.reload();
    },
    onStatus: (status) => indicator.show(status),
  });
  live.start();
  setInterval(() => indicator.tick(), 1000);
}

prepareMenu();
prepare();
setInterval(() => {
  paintFreshness();
  paintAges();
}, 1000);
prepareChart().then(connect);
