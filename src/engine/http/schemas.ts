/**
 * The schema library with what the description of the API adds to it: `openapi`, which every schema has that is made
 * after this was loaded. To be imported as a namespace, of which a bundle keeps what is used.
 */
import "@hono/zod-openapi";

export * from "zod";
