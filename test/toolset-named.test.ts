import { describe } from "vitest";
import { useToolset } from "./support/harness.js";

useToolset("named");

/** The cases of another file; each in a suite of its own, so that their simulated APIs do not meet. */
const cases = (load: () => Promise<unknown>) => async () => {
  await load();
};

// What holds for the one tool holds for a tool of each action as well.
describe(
  "elicitation",
  cases(() => import("./elicitation.test.js")),
);
describe(
  "run",
  cases(() => import("./run.test.js")),
);
describe(
  "sessions",
  cases(() => import("./sessions.test.js")),
);
describe(
  "continue-session",
  cases(() => import("./continue-session.test.js")),
);
describe(
  "feedback",
  cases(() => import("./feedback.test.js")),
);
describe(
  "kill-cleanup",
  cases(() => import("./kill-cleanup.test.js")),
);
describe(
  "start-line",
  cases(() => import("./start-line.test.js")),
);
