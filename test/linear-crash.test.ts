import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { serveFakeLinear } from "../mocks/integrations/linear.js";
import type { FakeIssue } from "../mocks/integrations/linear-world.js";
import { temporaryFolder } from "./support/bin.js";
import { until } from "./support/harness.js";
import { SCRIPTED_AGENT, withScript } from "./support/local-engine.js";
import { storedDeliveries } from "./support/notices.js";
import { startWorker, type WorkerProcess } from "./support/workers.js";

// What an issue hears when the engine's process is killed: of the built bin, with a real signal.

vi.setConfig({ testTimeout: 120_000 });

const KEY = "lin_api_of_the_test";

async function open(settings: Record<string, string> = {}) {
  const fake = await serveFakeLinear({ key: KEY });
  onTestFinished(() => fake.close());
  const issue = fake.world.addIssue(fake.world.addTeam("ENG", "Engineering"), "Log in fails");
  const linear = { LINEAR_API_KEY: KEY, LINEAR_URL: fake.url, CLAUDE_PATH: SCRIPTED_AGENT };
  const engine = await startWorker("", { ...linear, ...settings });
  const link = { tracker: "linear", id: issue.id, identifier: issue.identifier, url: issue.url };
  return { fake, issue, engine, link };
}

/** All that there is to tell so far is told, and written down as that. */
async function told({ home }: WorkerProcess, issue: FakeIssue): Promise<void> {
  const isSent = () => storedDeliveries(home).filter(({ state }) => state === "sent").length === 2;
  await until(() => isSent() && comment(issue).includes("at work"), "the comment");
}

const comment = ({ comments }: FakeIssue) => comments[0]?.body ?? "";

it("hears of the failure from the next engine, in the same comment", async () => {
  const { issue, engine, link } = await open();
  const message = withScript("Go", { steps: [{ text: "Working" }, { hang: true }] });
  await engine.start({ message, linked_issue: link });
  await told(engine, issue);
  engine.signal("SIGKILL");
  await engine.exited();
  expect(comment(issue)).toContain("at work");
  await engine.restart();
  await until(() => comment(issue).includes("The engine stopped while the run was going on"), "the failure");
  expect([issue.comments.length, issue.moves]).toEqual([1, ["In Progress"]]);
});

it("sees a run that is resumed by itself as the same work", async () => {
  const script = JSON.stringify({ steps: [{ text: "Working" }, { hang: true }] });
  const hanging = join(temporaryFolder("automagik-agent-"), "agent");
  const program = `#!/bin/sh\nexport SCRIPTED_AGENT='${script}'\nexec "${SCRIPTED_AGENT}" "$@"\n`;
  writeFileSync(hanging, program, { mode: 0o755 });
  const { issue, engine, link } = await open({ ENGINE_RESUME: "once", CLAUDE_PATH: hanging });
  await engine.start({ message: "Mend it", linked_issue: link });
  await told(engine, issue);
  engine.signal("SIGKILL");
  await engine.exited();
  await engine.restart({ CLAUDE_PATH: SCRIPTED_AGENT });
  await until(() => comment(issue).includes("finished"), "the end of what was resumed");
  expect([issue.comments.length, issue.moves]).toEqual([1, ["In Progress"]]);
});
