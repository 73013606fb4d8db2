import { onTestFinished } from "vitest";
import { serveSimulatedApi } from "../../mocks/serve.js";
import type { Services } from "../../src/actions/define-action.js";
import { listConnections } from "../../src/answers/connections.js";
import { type OpenAnswers, openAnswers } from "../../src/answers/open-answers.js";
import { listTargets } from "../../src/integrations/list-targets.js";
import { createNotifier } from "../../src/notices/notifier.js";
import { createSecrets } from "../../src/settings/secrets.js";
import { systemClock } from "../../src/shared/clock.js";
import { createLog } from "../../src/shared/log.js";
import { temporaryFolder } from "./bin.js";
import { connectInMemory, type InMemory, type ToolAnswer, testSettings } from "./harness.js";
import { PLACE } from "./plan-chat.js";

/** A design that a person approves before it is built. */
export const GATED_PLAN = {
  steps: [
    { id: "design", run: "architect", task: "Design the login" },
    {
      id: "ok",
      gate: "Build this?",
      needs: ["design"],
      show: ["$", "{steps.design.result}"].join(""),
      back_to: { step: "design", max: 5 },
    },
    { id: "build", run: "implement", needs: ["ok"], task: "Build it" },
  ],
};

/** A chat client whose server carries plans out, and asks people by what is set. */
export interface AskedOutside extends InMemory {
  world: Awaited<ReturnType<typeof serveSimulatedApi>>["api"]["world"];
  folder: string;
  /** Begins a plan, and does not wait. */
  begin(plan: object): Promise<ToolAnswer>;
  /** Ends the process that asks, and begins another one. @param meanwhile what happens between the two */
  restart(meanwhile?: () => unknown): Promise<void>;
  answers(): OpenAnswers;
  lines(): string;
}

/** @param set variables of integrations, without their prefix */
export async function askOutside(
  set: Record<string, string>,
  /** Another API than the simulated one. */
  elsewhere?: { url: string; key: string },
): Promise<AskedOutside> {
  const folder = temporaryFolder();
  const api = await serveSimulatedApi({
    apiKey: "test-key",
    paceMs: 0,
    branches: true,
    describe: true,
  });
  onTestFinished(() => api.close());
  let services: Services | undefined;
  let lines = "";
  const write = (text: string | Uint8Array) => {
    lines += text;
    return true;
  };
  const hidden: string[] = [];
  const log = createLog({ level: "debug", secrets: hidden, stderr: { write } });
  const client = await connectInMemory({
    settings: elsewhere ? { BASE_URL: elsewhere.url, API_KEY: elsewhere.key } : { BASE_URL: api.url },
    plans: { folder, upstream: "the API" },
    monitoring: {
      watch(made) {
        services = made as Services;
      },
      close: async () => {},
    },
  });
  const settings = testSettings(set);
  const env = { PATH: process.env.PATH };
  const secrets = createSecrets({ settings, env, home: folder, onSecret: (one) => hidden.push(one) });

  function open() {
    const integrations = { settings, secrets, env, clock: systemClock, log };
    const notifier = createNotifier({
      ...{ folder, clock: systemClock, log },
      channels: [],
      targets: listTargets(integrations),
    });
    const answers = openAnswers({
      ...{ folder, services: services as Services, upstream: "the API", log },
      connections: listConnections(integrations),
      dashboardUrl: settings.dashboardUrl,
      onWritten: notifier.look,
      askAfterMs: 0,
    });
    return {
      answers,
      async close() {
        await answers.close();
        await notifier.close();
      },
    };
  }
  let opened = open();
  onTestFinished(() => opened.close());
  return {
    ...client,
    ...{ folder, world: api.api.world },
    async begin(plan) {
      const args = { action: "plan", plan, session_name: "login", ...PLACE, wait_seconds: 0 };
      const answer = await client.call(args);
      if (answer.isError) throw new Error(answer.text);
      return answer;
    },
    async restart(meanwhile) {
      await opened.close();
      await meanwhile?.();
      opened = open();
    },
    answers: () => opened.answers,
    lines: () => lines,
  };
}
