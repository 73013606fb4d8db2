import type { ActionName } from "./calls.js";

/** `GET /dashboard/api/session`: who looks, and what there is. */
export interface SessionView {
  version: string;
  /** The name of the token, or "local". */
  caller: string;
  /** Where the workflows API is. */
  api: string;
  actions: ActionName[];
  /** The API tells the log of runs. */
  hasLog: boolean;
  hasDiff: boolean;
}

/** Body of every refusal: 400, 401, 403, 404, 405, 409, 413, 429, 503. */
export interface RefusalView {
  error: string;
}
