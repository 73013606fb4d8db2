/** The dashboard in a browser: what it shows and does, and its HTTP. Loaded when it is asked for. */
export { digestOf, LINK_MS, newSecret } from "./auth.js";
export { createDashboardHttp, type DashboardHttp, type LentView } from "./http.js";
export { isFollowedLink, isOwnPage } from "./origin.js";
export { createDashboardView, type DashboardView } from "./view.js";
export { readWidgetView, type WidgetQuery } from "./widget-view.js";
