import { PassThrough } from "node:stream";
import { expect, it } from "vitest";
import type { Question } from "../src/actions/forms/form-client.js";
import { followPlan } from "../src/cli/plans/follow-plan.js";
import { createLiveLine } from "../src/cli/plans/live-line.js";
import { renderPlan } from "../src/cli/plans/render-plan.js";
import { showPlanInTerminal } from "../src/cli/plans/show-command.js";
import { createTerminalForms, type FormTerminal } from "../src/cli/plans/terminal-forms.js";
import { wrapWords } from "../src/cli/sessions/fit-text.js";
import type { Plans } from "../src/plan-runner/plans.js";
import type { PlanSight } from "../src/plan-runner/runner.js";
import { apply, startPlan } from "../src/plans/machine/apply.js";
import type { PlanStarted } from "../src/plans/machine/events.js";
import type { PlanState } from "../src/plans/machine/state.js";
import { untilAborted } from "../src/shared/abort.js";
import { waitForText } from "./support/demo.js";
import { planOf } from "./support/plan-place.js";

// What `plan` shows and asks where a person sits at the terminal, whose keys the test presses.

function createTty() {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const output = Object.assign(new PassThrough(), { isTTY: true, columns: 60 });
  let written = "";
  let from = 0;
  output.on("data", (chunk) => {
    written += chunk;
  });
  return {
    terminal: { input, output } as unknown as FormTerminal,
    output,
    written: () => written,
    /** Waits until the text has come anew, then types. */
    async answer(prompt: string, typed: string) {
      await waitForText(() => written.slice(from), prompt);
      from = written.length;
      input.write(typed);
    },
  };
}

const question = (more: Partial<Question> & { name: string }): Question => ({
  title: more.name,
  description: "",
  required: true,
  ...more,
});

it("asks a form field by field, with lists line by line and choices by their number", async () => {
  const { terminal, answer, written } = createTty();
  const asked = createTerminalForms(terminal).ask("Begin the plan \u001b[31mship", [
    question({ name: "feature", description: "What to build" }),
    question({ name: "parts", lines: true }),
    question({ name: "urgent", type: "boolean" }),
    question({ name: "session_name", suggestion: "ship-2" }),
  ]);
  await answer("What to build", "\r");
  await answer("A value is required", "JWT login\r");
  await answer("parts", "one\r");
  await answer("> ", "two\r");
  await answer("> ", "\r");
  await answer("2. No", "1\r");
  await answer("[ship-2]", "\r");
  expect(await asked).toEqual({
    kind: "accepted",
    values: { feature: "JWT login", parts: "one\ntwo", urgent: "true", session_name: "ship-2" },
  });
  // Nothing of what is asked is taken for a terminal's command.
  expect(written()).not.toContain("\u001b[31m");
});

it("names the suggested one of its choices by the number that is typed for it, and a title once", async () => {
  const { terminal, answer, written } = createTty();
  const choices = [
    { value: "low", title: "Nobody uses it yet" },
    { value: "high", title: "In use" },
  ];
  const risk = question({ name: "risk", title: "Risk", description: "risk", required: false });
  const asked = createTerminalForms(terminal).ask("Begin?", [{ ...risk, choices, suggestion: "high" }]);
  await answer("[2] > ", "\r");
  expect(await asked).toEqual({ kind: "accepted", values: { risk: "high" } });
  expect(written()).toContain("\nRisk (optional)\n");
});

it("asks what should change only of who sends back, and breaks what it shows between words", async () => {
  const sentBack = { name: "decision", value: "send_back" };
  const questions = [
    question({
      name: "decision",
      choices: [
        { value: "approve", title: "Approve: the plan goes on with the steps that come behind this gate" },
        { value: "send_back", title: "Send back" },
      ],
    }),
    question({ name: "change", title: "What should change", onlyWith: sentBack }),
  ];
  const about = "Shall this be built as it is designed, or is there something that should change before?";
  const approving = createTty();
  const approved = createTerminalForms(approving.terminal).ask(about, questions);
  await approving.answer("> ", "1\r");
  expect(await approved).toEqual({ kind: "accepted", values: { decision: "approve" } });
  expect(approving.written()).not.toContain("What should change");
  for (const line of approving.written().split("\n")) expect(line.length).toBeLessThanOrEqual(60);
  const sending = createTty();
  const back = createTerminalForms(sending.terminal).ask(about, questions);
  await sending.answer("> ", "2\r");
  await sending.answer("What should change", "Use sessions\r");
  expect(await back).toEqual({
    kind: "accepted",
    values: { decision: "send_back", change: "Use sessions" },
  });
});

it("ends at Ctrl-C also while a gate is asked, and says that the plan waits", async () => {
  const interrupted = new AbortController();
  const { terminal, answer } = createTty();
  const forms = createTerminalForms({ ...terminal, interrupt: () => interrupted.abort() });
  const sight: PlanSight = { state: begun(), place: {}, troubles: [], actions: new Map() };
  let written = "";
  const plans = {
    find: async () => sight,
    async follow(_id: string, signal: AbortSignal, onChange: (seen: PlanSight) => void) {
      onChange(sight);
      await untilAborted(signal);
    },
  };
  const shown = showPlanInTerminal(plans as unknown as Plans, "ship", {
    follow: true,
    json: false,
    out: (text) => {
      written += text;
    },
    paintOptions: () => ({ width: 200, paint: (text) => text, now: 0 }),
    line: createLiveLine(new PassThrough(), { moves: true, width: () => 60 }),
    signal: interrupted.signal,
    async ask() {
      await forms.ask("Build this?", [question({ name: "decision" })], interrupted.signal);
    },
  });
  await answer("> ", "\u0003");
  expect(await shown).toBe(0);
  expect(written).toBe(
    "The plan ship waits for you at ok. `automagik-workflows-mcp plan show ship --follow` follows it again.\n",
  );
});

it("takes only a yes for an agreement, and a form that is left for none", async () => {
  for (const [typed, kind] of [
    ["y\r", "accepted"],
    ["\r", "declined"],
    ["later\r", "declined"],
  ]) {
    const { terminal, answer } = createTty();
    const asked = createTerminalForms(terminal).ask("Run `npm test`?", [question({ name: "confirm" })]);
    await answer("Do it? [y/N]", typed as string);
    expect(await asked).toMatchObject({ kind });
  }
  for (const [typed, kind] of [
    ["/decline\r", "declined"],
    ["\u0003", "cancelled"],
  ]) {
    const { terminal, answer } = createTty();
    const asked = createTerminalForms(terminal).ask("Begin?", [question({ name: "feature" })]);
    await answer("> ", typed as string);
    expect(await asked).toMatchObject({ kind });
  }
  const nobody = { input: new PassThrough(), output: new PassThrough() } as unknown as FormTerminal;
  expect(await createTerminalForms(nobody).ask("Begin?", [question({ name: "feature" })])).toMatchObject({
    kind: "not_asked",
  });
});

const begun = (): PlanState =>
  startPlan({
    type: "plan-started",
    at: 0,
    planId: "p",
    plan: planOf({ name: "ship", steps: [{ id: "ok", gate: "Build this?" }] }),
    inputs: {},
  });

it("shows a plan on one line that changes, and asks for a gate that opens, once", async () => {
  const { output, written } = createTty();
  const line = createLiveLine(output, { moves: true, width: () => 40 });
  const sight = (state: PlanState): PlanSight => ({ state, place: {}, troubles: [], actions: new Map() });
  const open = begun();
  const { attempt, commits } = open.steps.ok?.open ?? { attempt: 0, commits: [] };
  const approved = apply(open, {
    type: "gate-decided",
    at: 1,
    step: "ok",
    attempt,
    commits,
    decision: "approve",
  });
  const asked: string[] = [];
  const last = await followPlan(sight(open), {
    plans: {
      async follow(_id, _signal, onChange) {
        onChange(sight(open));
        onChange(sight(open));
        onChange(sight(approved));
      },
    },
    line,
    signal: new AbortController().signal,
    async ask(_sight, { step }) {
      asked.push(step);
    },
  });
  expect(asked).toEqual(["ok"]);
  expect(last.state).toBe(approved);
  expect(written()).toMatch(/^ok: waiting: Build this\?\n/);
  expect(written()).toMatch(/ok: succeeded.*\n/);
});

it("says of a paused plan that it waits for it to be resumed, and how that is done", async () => {
  const { output, written } = createTty();
  output.columns = 200;
  const interrupted = new AbortController();
  const steps = [{ id: "design", run: "architect", task: "Design it" }];
  const start = {
    type: "plan-started",
    at: 0,
    planId: "p",
    plan: planOf({ name: "ship", steps }),
    inputs: {},
  };
  const state = apply(startPlan(start as PlanStarted), { type: "paused", at: 1 });
  const paused: PlanSight = { state, place: {}, troubles: [], actions: new Map() };
  const plans = {
    find: async () => paused,
    async follow(_id: string, _signal: AbortSignal, onChange: (seen: PlanSight) => void) {
      onChange(paused);
      onChange(paused);
      interrupted.abort();
    },
  };
  let out = "";
  await showPlanInTerminal(plans as unknown as Plans, "ship", {
    ...{ follow: true, json: false, signal: interrupted.signal },
    out: (text) => {
      out += text;
    },
    paintOptions: () => ({ width: 200, paint: (text) => text, now: 0 }),
    line: createLiveLine(output, { moves: false, width: () => 200 }),
  });
  expect(written().match(/paused/g)).toHaveLength(1);
  expect(written()).toContain(
    "Plan ship: paused. Nothing new is started until it is resumed (`automagik-workflows-mcp plan resume ship`, in another terminal); this waits for that. Ctrl+C ends the waiting.\n",
  );
  expect(out).toBe("The plan ship is paused. `automagik-workflows-mcp plan resume ship` lets it go on.\n");
});

it("breaks sentences between words, keeps the mark of a quotation, and leaves what is copied as it stands", () => {
  const text = [
    "Sent back at gate ok. `plan show ship --follow` shows how it goes on.",
    "> The agent's words are long.",
    "    automagik-workflows-mcp plan approve ship ok",
    "a-word-that-is-longer-than-the-line",
  ].join("\n");
  expect(wrapWords(text, 26).split("\n")).toEqual([
    "Sent back at gate ok.",
    "`plan show ship --follow`",
    "shows how it goes on.",
    "> The agent's words are",
    "> long.",
    "    automagik-workflows-mcp plan approve ship ok",
    "a-word-that-is-longer-than-the-line",
  ]);
  expect(wrapWords(text, undefined)).toBe(text);
});

it("shows what a plan waits for in the lines of the terminal, and on one line where it is piped", () => {
  const question = "Shall this be built as it is designed, or is there something that should change before?";
  const state = startPlan({
    type: "plan-started",
    at: 0,
    planId: "p",
    plan: planOf({ name: "ship", steps: [{ id: "ok", gate: question }] }),
    inputs: {},
  });
  const sight: PlanSight = { state, place: {}, troubles: [], actions: new Map() };
  const show = (width: number | undefined) => renderPlan(sight, { width, paint: (text) => text, now: 0 });
  expect(show(undefined)).toContain(`\n  ok, 0 s: ${question}\n`);
  const waiting = show(40).split("\n").slice(3, 6);
  expect(waiting.map((line) => line.slice(2)).join(" ")).toBe(`ok, 0 s: ${question}`);
  for (const line of waiting) expect(line).toMatch(/^ {2}\S.{1,37}$/);
});
