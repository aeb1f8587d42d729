/**
 * Shapes that the server sends. Only types: this module holds no code and imports none.
 *
 * @typedef {Object} Reading
 * @property {string} device uuid
 * @property {string} metric canonical name, such as water_level_cm
 * @property {string} at ISO 8601, UTC
 * @property {number|boolean|string} value
 * @property {number} [sequence]
 * @property {"live"|"backfill"|"push"|"import"|"cache"} [origin]
 * @property {boolean} [revised] whether it replaced another value of the same instant
 *
 * @typedef {Object} DeviceState
 * @property {string} device uuid
 * @property {string} state new|online|late|stale|offline|alert|paused
 * @property {string} [severity] of an alert
 * @property {string} [source] ok|upstream_down|key_rejected|...
 * @property {string} [since] ISO 8601
 * @property {string} [reason]
 *
 * @typedef {Object} AlertNotice
 * @property {string|number} id
 * @property {string} severity info|warning|critical
 * @property {string} title
 * @property {string} [text]
 * @property {string} [device]
 * @property {boolean} [resolved]
 *
 * @typedef {Object} Snapshot answer of the polling address
 * @property {Object<string, string>} [heads] topic -> id of its newest message
 * @property {Reading[]} [tel]
 * @property {DeviceState[]} [state]
 */
export {};
