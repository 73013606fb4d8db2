/**
 * What is used of the library, to be loaded as a whole when it is needed. Named here, because the bundle knows no
 * names of a CommonJS package that is itself imported on demand: there it would have nothing but a default.
 */
export { createClient, ErrorReply } from "redis";
