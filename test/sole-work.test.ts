import { expect, test } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { connectInMemory, type ShownForm } from "./support/harness.js";

// `diff` and `take` where the call does not say whose work is meant.

const sim = useSimulatedApi({
  branches: true,
  describe: true,
  paceMs: 0,
  script: ({ workflowName }) => ({ result: `Done by ${workflowName}`, costUsd: 0.5, actions: ["Working"] }),
});

const merges = () => sim.api().posts(/\/take$/).length;

async function connect(answer: "yes" | "no" | "no forms" = "yes") {
  const forms: ShownForm[] = [];
  const onForm = (form: ShownForm) => {
    forms.push(form);
    return { action: "accept" as const, content: { confirm: answer } };
  };
  const { call } = await connectInMemory(answer === "no forms" ? {} : { onForm });
  const work = (session_name: string) =>
    call({
      action: "run",
      workflow_name: "implement",
      message: "Build it",
      session_name,
      repository_url: "https://host.example/a/b.git",
      git_branch: "",
      wait_seconds: 20,
    });
  return { call, work, forms };
}

test("the only session with work that was not merged is the one that is meant", async () => {
  const { call, work, forms } = await connect();
  await work("login");
  const shown = await call({ action: "diff" });
  expect(shown.data.outcome, shown.text).toBe("ok");
  expect(shown.text).toContain("login");
  const taken = await call({ action: "take" });
  expect(taken.data.outcome, taken.text).toBe("ok");
  expect(forms[0]?.message).toMatch(/^Merge the work of session "login" into /);
  // What was merged is not taken again.
  const again = await call({ action: "take" });
  expect(again.isError).toBe(true);
  expect(again.text).toContain("No session has work that was not merged yet. Nothing was sent.");
  expect(merges()).toBe(1);
});

test("of several sessions with work those are named, and nothing is merged", async () => {
  const { call, work, forms } = await connect();
  for (const name of ["login", "export"]) await work(name);
  for (const action of ["diff", "take"]) {
    const { isError, text } = await call({ action });
    expect(isError).toBe(true);
    expect(text).toMatch(
      /^Say whose work is meant, by `session_name`\. With work that was not merged yet: (login, export|export, login)\. Nothing was sent\./,
    );
  }
  expect([forms, merges()]).toEqual([[], 0]);
});

test("without forms a yes in advance does not count for work that the call has not named", async () => {
  const { call, work } = await connect("no forms");
  await work("login");
  const asked = await call({ action: "take", confirm: true });
  expect(asked.data.outcome).toBe("input_required");
  expect(asked.text).toContain('Merge the work of session "login"');
  expect(merges()).toBe(0);
  const { action: _take, ...named } = asked.data.next_step.arguments;
  expect((await call({ action: "take", ...named })).data.outcome).toBe("ok");
  expect(merges()).toBe(1);
});
