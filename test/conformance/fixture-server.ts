import { FastMCP } from "fastmcp";
import type { Action, Services } from "../../src/actions/define-action.js";
import type { ApiCapabilities } from "../../src/api/capabilities.js";
import { createNoPlans } from "../../src/plan-runner/plans-access.js";
import { createComplete } from "../../src/server/completions.js";
import { createInFlightCalls } from "../../src/server/fastmcp/in-flight-calls.js";
import { completeValues } from "../../src/server/fastmcp/publish-resources.js";
import { publishTools } from "../../src/server/fastmcp/publish-tools.js";
import { installSessionHook } from "../../src/server/fastmcp/session-hook.js";
import type { WorkflowsServer } from "../../src/server/server.js";
import { buildTools } from "../../src/server/tools/registry.js";
import type { Sessions } from "../../src/sessions/sessions.js";
import { systemClock } from "../../src/shared/clock.js";
import type { Log } from "../../src/shared/log.js";
import type { Catalogue } from "../../src/workflows/catalogue.js";
import { fixtureActions, roundActions } from "./fixture-actions.js";
import { widenForms } from "./fixture-forms.js";
import { createModernFixtures } from "./fixture-modern.js";
import { addPlainFixtures } from "./fixture-plain.js";
import { fixtureTools } from "./fixture-tools.js";

/** Values that are completed as names of workflows are. */
const WORDS = ["paris", "park", "party", "berlin"];
/** No form of the suite stays open for longer, in ms. */
const FORM_MS = 20_000;

/**
 * The conformance suite's fixtures, on the parts that the product is made of: sessions and their repairs, publishing,
 * serving a call, actions, forms, progress, answers, completion. For development only; it knows no API and runs
 * nothing.
 * @param log takes what the framework says too
 */
export function createFixtureServer(log: Log & { log: Log["info"] }): WorkflowsServer {
  installSessionHook();
  const server = new FastMCP({
    name: "conformance-fixtures",
    version: "1.0.0",
    logger: log,
    ping: { enabled: false },
    roots: { enabled: false },
  });
  const inFlight = createInFlightCalls({ clock: systemClock, elicitationTimeoutMs: FORM_MS });
  const catalogue = {
    state: () => ({ available: true, workflows: WORDS.map((name) => ({ name, description: name })) }),
    onChange: () => () => {},
  } as unknown as Catalogue;
  const build = (actions: readonly Action[]) =>
    buildTools("named", actions, (error) => log.error("A fixture failed:", error));
  const tools = [...build(fixtureActions), ...fixtureTools];
  const capabilities = { onChange: () => () => {} } as unknown as ApiCapabilities;
  publishTools(server, tools, {
    catalogue,
    capabilities,
    inFlight,
    services: { clock: systemClock } as Services,
  });
  const complete = createComplete({
    catalogue,
    sessions: {} as Sessions,
    plans: createNoPlans("There are no plans here."),
  });
  addPlainFixtures(server, (typed) => completeValues(complete, "workflow", typed));
  const modern = createModernFixtures({
    tools: build([...fixtureActions, ...roundActions]),
    services: { catalogue, clock: systemClock } as Services,
    complete: (typed) => complete("workflow", typed),
    formMs: FORM_MS,
  });

  return {
    serveStdio: () => Promise.reject(new Error("The fixtures are served over HTTP only.")),
    async connect(transport) {
      widenForms(transport);
      await server.connect(transport);
    },
    carryOnPlans: async () => {},
    serveRequest: modern.serveRequest,
    openDashboard: () => Promise.reject(new Error("The fixtures have no dashboard.")),
    isHolding: modern.isHolding,
    onIdle: () => {},
    checkReadiness: async () => undefined,
    drain: (graceMs) => inFlight.stop(graceMs),
    async close(graceMs = 0) {
      await inFlight.stop(graceMs);
      await modern.close();
      await Promise.allSettled([...server.sessions].map((session) => session.close()));
      await server.stop();
    },
  };
}
