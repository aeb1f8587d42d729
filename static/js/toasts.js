/** Short notices in the corner, read out politely; they leave by themselves or when closed. */

/** @typedef {import("./types.js").AlertNotice} AlertNotice */

const STAY_MS = 12_000;

/** @param {AlertNotice} alert */
export function showAlert(alert) {
  const root = document.querySelector("[data-toasts]");
  if (!root) return;
  // An alert of an account is told to each of its communities; here it is one.
  root.querySelector(`[data-alert="${CSS.escape(String(alert.id))}"]`)?.remove();
  const toast = document.createElement("div");
  toast.dataset.alert = String(alert.id);
  toast.className = "toast";
  toast.dataset.state = alert.resolved ? "ok" : alert.severity;
  const text = document.createElement("p");
  const title = document.createElement("strong");
  title.textContent = alert.resolved ? `Resolved: ${alert.title}` : alert.title;
  text.append(title);
  if (alert.text && !alert.resolved) text.append(document.createElement("br"), alert.text);
  const close = document.createElement("button");
  close.type = "button";
  close.setAttribute("aria-label", "Close");
  close.textContent = "✕";
  close.addEventListener("click", () => toast.remove());
  toast.append(text, close);
  root.append(toast);
  setTimeout(() => toast.remove(), STAY_MS);
}
