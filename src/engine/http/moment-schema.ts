import { z } from "@hono/zod-openapi";

/** A moment in an answer. */
export const moment = z.iso.datetime().describe("UTC, marked with Z");
