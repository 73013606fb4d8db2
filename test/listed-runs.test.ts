import type { FastMCP } from "fastmcp";
import { expect, it } from "vitest";
import type { Services } from "../src/actions/define-action.js";
import type { RunEvent } from "../src/runs/run-events.js";
import { bareRun } from "../src/runs/run-facts.js";
import { publishResources } from "../src/server/fastmcp/publish-resources.js";
import { createHandClock } from "./support/hand-clock.js";

/** The list of resources as a client would be given it, and what the watcher and a reading of all sessions tell. */
function publish() {
  const listed = new Set<string>();
  let tell = (_event: RunEvent) => {};
  const clock = createHandClock();
  const nothing = () => () => {};
  const server = {
    addResource() {},
    addResourceTemplate() {},
    on() {},
    sendResourceUpdated: async () => {},
    addResources: (added: { name: string }[]) => added.forEach(({ name }) => void listed.add(name)),
    removeResources: (names: string[]) => names.forEach((name) => void listed.delete(name)),
  };
  const services = {
    clock,
    catalogue: { onChange: nothing },
    sessions: { onChange: nothing, onRead: nothing },
    watcher: {
      onEvent(listener: typeof tell) {
        tell = listener;
        return () => {};
      },
    },
  };
  publishResources(server as unknown as FastMCP, services as unknown as Services, async () => []);
  return {
    listed,
    tell: (runId: string, type: "status" | "turn" | "finished", startedAt: number) => {
      const status = type === "finished" ? "completed" : "running";
      tell({ type, run: { ...bareRun(runId), status, startedAt } });
    },
  };
}

it("a run that was too old for the list is in it again once those that took its place have ended", () => {
  const { listed, tell } = publish();
  tell("old", "status", 0);
  for (let index = 1; index <= 50; index++) tell(`newer-${index}`, "status", index);
  expect(listed).not.toContain("run old");
  expect(listed.size).toBe(50);
  for (let index = 1; index <= 50; index++) tell(`newer-${index}`, "finished", index);
  tell("old", "turn", 0);
  expect([...listed]).toEqual(["run old"]);
});
