/** The engine itself: a workflows API of this machine. */
export { createLocalEngine } from "./create-local-engine.js";
