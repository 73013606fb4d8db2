import * as z from "./schemas.js";

/** A moment in an answer. */
export const moment = z.iso.datetime().describe("UTC, marked with Z");
