import type { RunChange } from "../runs/events.js";

/** The end of a run whose beginning was written while the database did not answer: nobody has heard that it begins. */
export const UNHEARD_START: RunChange = {
  type: "ended",
  status: "failed",
  error: "The engine's database went away when it was to begin, and there was no agent. Start it again.",
  neverStarted: true,
};
