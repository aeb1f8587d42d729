/** The device page: which metric and which range the chart shows. The choice stands in the address. */

import { Chart, RANGES } from "./chart.js";

/** @typedef {import("./types.js").Reading} Reading */
/** @typedef {import("./history.js").Point} Point */

/**
 * @param {HTMLElement} element with the chart's data attributes
 * @param {string} metric
 */
function choiceFrom(element, metric) {
  const { historyUrl, label, unit, decimals, expectedEvery } = element.dataset;
  return {
    metric,
    url: historyUrl ?? "",
    label: label ?? metric,
    unit: unit ?? "",
    decimals: Number(decimals),
    expectedEvery: Number(expectedEvery || NaN),
  };
}

/**
 * The newest reading of a metric as its card shows it.
 * @param {string} metric
 * @returns {Point|null}
 */
function currentPoint(metric) {
  const shown = document.querySelector(`.metric .value[data-metric="${CSS.escape(metric)}"]`);
  if (!(shown instanceof HTMLElement) || !shown.dataset.exact) return null;
  const at = Date.parse(shown.dataset.at ?? "") / 1000;
  const value = Number(shown.dataset.exact);
  if (!Number.isFinite(at) || !Number.isFinite(value)) return null;
  return { at, value, min: value, max: value };
}

/**
 * @param {string} attribute
 * @param {string} value
 */
function markCurrent(attribute, value) {
  for (const link of document.querySelectorAll(`[${attribute}]`)) {
    const current = link.getAttribute(attribute) === value;
    if (current) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
    link.closest(".metric")?.toggleAttribute("data-chosen", current);
  }
}

/**
 * @param {HTMLElement} section
 * @returns {{append: (readings: Reading[]) => void, reload: () => Promise<void>}}
 */
export function prepareDeviceChart(section) {
  const range = section.dataset.range ?? "";
  const chart = new Chart(
    section,
    choiceFrom(section, section.dataset.metric ?? ""),
    range in RANGES ? range : "24h",
    currentPoint,
  );
  const device = section.closest("[data-device]")?.getAttribute("data-device") ?? "";

  function remember() {
    const query = new URLSearchParams({ metric: chart.choice.metric, range: chart.range });
    history.replaceState(null, "", `?${query}`);
    markCurrent("data-chart-choice", chart.choice.metric);
    markCurrent("data-chart-range", chart.range);
    for (const link of document.querySelectorAll("a[data-chart-range], a[data-chart-choice]")) {
      const { chartChoice, chartRange } = /** @type {HTMLElement} */ (link).dataset;
      query.set("metric", chartChoice ?? chart.choice.metric);
      query.set("range", chartRange ?? chart.range);
      /** @type {HTMLAnchorElement} */ (link).search = query.toString();
    }
  }

  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || !(event.target instanceof Element)) return;
    const link = event.target.closest("[data-chart-choice], [data-chart-range]");
    if (!(link instanceof HTMLElement)) return;
    event.preventDefault();
    const { chartChoice, chartRange } = link.dataset;
    const choice = chartChoice ? choiceFrom(link, chartChoice) : chart.choice;
    chart.show(choice, chartRange ?? chart.range);
    remember();
  });
  chart.load();
  return {
    append: (readings) => chart.append(readings, device),
    reload: () => chart.load(),
  };
}
