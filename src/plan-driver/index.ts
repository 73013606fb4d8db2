/** The process that drives plans in the background: finding, starting, watching and stopping it. */
export {
  askForLink,
  findLinkRequests,
  isTakenUp,
  LOOK_FOR_LINKS_MS,
  readDashboardRecord,
  removeDashboardRecord,
  withdrawLink,
  writeDashboardRecord,
} from "./dashboard-links.js";
export { type DriverPlace, driverFiles, driverFolderName, isOfSharedDatabase } from "./driver-files.js";
export { type PlansAtWork, runDriverProcess } from "./driver-process.js";
export { DriverUnavailable, findDriver } from "./find-driver.js";
export { type DriverSight, lookAtDriver } from "./look-at-driver.js";
export { stopDriver } from "./stop-driver.js";
