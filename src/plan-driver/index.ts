/** The process that drives plans in the background: finding, starting, watching and stopping it. */
export { type DriverPlace, driverFiles } from "./driver-files.js";
export { type PlansAtWork, runDriverProcess } from "./driver-process.js";
export { findDriver } from "./find-driver.js";
export { type DriverSight, lookAtDriver } from "./look-at-driver.js";
export { stopDriver } from "./stop-driver.js";
