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
  let changes = 0;
  let tell = (_event: RunEvent) => {};
  const clock = createHandClock();
  const nothing = () => () => {};
  const server = {
    addResource() {},
    addResourceTemplate() {},
    on() {},
    sendResourceUpdated: async () => {},
    addResources(added: { name: string }[]) {
      changes++;
      for (const { name } of added) listed.add(name);
    },
    removeResources(names: string[]) {
      changes++;
      for (const name of names) listed.delete(name);
    },
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
    /** How often clients were told that the list has changed. */
    changes: () => changes,
    /** As much time as passes between two changes of the list. */
    pass: () => clock.advance(500),
    tell: (runId: string, type: "status" | "turn" | "finished", startedAt: number) => {
      const status = type === "finished" ? "completed" : "running";
      tell({ type, run: { ...bareRun(runId), status, startedAt } });
    },
  };
}

it("a run that was too old for the list is in it again once those that took its place have ended", () => {
  const { listed, tell, pass } = publish();
  tell("old", "status", 0);
  for (let index = 1; index <= 50; index++) tell(`newer-${index}`, "status", index);
  pass();
  expect(listed).not.toContain("run old");
  expect(listed.size).toBe(50);
  for (let index = 1; index <= 50; index++) tell(`newer-${index}`, "finished", index);
  pass();
  tell("old", "turn", 0);
  pass();
  expect([...listed]).toEqual(["run old"]);
});

it("many runs that begin at once change the list twice: at once for the first, and soon for all others", () => {
  const { listed, changes, tell, pass } = publish();
  for (let index = 1; index <= 40; index++) tell(`run-${index}`, "status", index);
  expect([...listed]).toEqual(["run run-1"]);
  pass();
  expect(listed.size).toBe(40);
  expect(changes()).toBe(2);
});
