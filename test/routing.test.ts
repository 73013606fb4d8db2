import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { useSimulatedApi } from "../mocks/vitest.js";
import { offerInTerminal } from "../src/cli/plans/save-command.js";
import type { Figures } from "../src/history/figures.js";
import { findRecurring } from "../src/history/recurring.js";
import { createMemorySessionStore } from "../src/sessions/store/memory-session-store.js";
import { createRouter, type DescribedWorkflow, PAST_KEPT, type PastTask } from "../src/workflows/router.js";
import { connectInMemory } from "./support/harness.js";
import { connectForPlans } from "./support/plan-chat.js";

const sim = useSimulatedApi({ paceMs: 5 });

const read = (path: string) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const OURS: DescribedWorkflow[] = readdirSync(new URL("../workflows/", import.meta.url)).map((name) => ({
  name,
  ...read(`../workflows/${name}/workflow.json`),
}));
const TASKS: { task: string; first: string; second: string; half: string }[] = read(
  "../bench/routing/tasks.json",
);
const OTHERS: typeof TASKS = read("../bench/routing/others.json");

/** A store that remembers these figures. */
async function remember(figures: readonly Figures[]) {
  const store = createMemorySessionStore();
  await store.noteFigures(figures);
  return store;
}

let ids = 0;
const ended = (workflow: string, more: Partial<Figures> = {}): Figures => ({
  ...{
    kind: "run",
    id: `past-${++ids}`,
    outcome: "completed",
    workflow,
    turns: 9,
    costUsd: 0.4,
    seconds: 600,
  },
  ...{ startedAt: Date.now() - 60_000 + ids, endedAt: Date.now() - 1_000 + ids },
  ...more,
});

describe("the workflow of a task", () => {
  it("stays found for nine of ten tasks of a set that is known, where always implement is right for one of six", () => {
    const router = createRouter(OURS);
    const aside = TASKS.filter(({ half }) => half === "kept-aside");
    const isRight = ({ first, second }: (typeof TASKS)[number], name = "") =>
      name === first || name === second;
    const ranked = aside.map((one) => ({ one, names: router.rank(one.task).map(({ name }) => name) }));
    expect(aside).toHaveLength(75);
    expect(aside.filter((one) => isRight(one, "implement")).length).toBeLessThan(15);
    expect(ranked.filter(({ one, names }) => isRight(one, names[0])).length).toBeGreaterThanOrEqual(67);
    const two = ranked.filter(({ one, names }) => isRight(one, names[0]) || isRight(one, names[1]));
    expect(two.length).toBeGreaterThanOrEqual(70);
  });

  it("is among the first two for eight of ten tasks of others, where implement and fix are for five", () => {
    const router = createRouter(OURS);
    const aside = OTHERS.filter(({ half }) => half === "kept-aside");
    const isIn = ({ first, second }: (typeof TASKS)[number], names: string[]) =>
      names.some((name) => name === first || name === second);
    const two = aside.filter((one) => {
      const names = router.rank(one.task).map(({ name }) => name);
      return isIn(one, names.slice(0, 2));
    });
    expect(aside).toHaveLength(74);
    expect(two.length).toBeGreaterThanOrEqual(60);
    expect(aside.filter((one) => isIn(one, ["implement", "fix"])).length).toBeLessThan(37);
  });

  it("is what was chosen most often, else implement or fix, where no word tells", async () => {
    const router = createRouter(OURS);
    const first = (task: string) => router.rank(task).map(({ name }) => name);
    expect(first("Zwölf Boxkämpfer").slice(0, 2)).toEqual(["implement", "fix"]);
    expect("names" in router.choose("Zwölf Boxkämpfer")).toBe(true);
    await router.learn([{ id: "1", workflow: "test", task: "login", succeeded: true }]);
    expect(first("Zwölf Boxkämpfer").slice(0, 2)).toEqual(["test", "implement"]);
  });

  it("is told with the past task that it is like, of those that succeeded", async () => {
    const router = createRouter(OURS);
    const past = (id: string, workflow: string, task: string, succeeded = true): PastTask => ({
      ...{ id, workflow, task, succeeded, turns: 9 },
    });
    await router.learn([
      past("1", "fix", "fix login timeout"),
      past("2", "review", "login timeout of the admins", false),
      past("3", "gone", "login timeout"),
    ]);
    await router.learn([past("1", "fix", "fix login timeout")]);
    expect(router.choose("The login runs into a timeout")).toEqual({
      name: "fix",
      why: 'like "fix login timeout", which fix did in 9 turns',
    });
    expect(createRouter(OURS).choose("The login runs into a timeout")).toEqual({
      name: "fix",
      why: 'by "timeout"',
    });
  });

  it("forgets the oldest of very many past tasks, and takes in how one has ended later", async () => {
    const router = createRouter(OURS);
    const task = "Zwölf Boxkämpfer jagen Viktor";
    const like = { id: "first", workflow: "review", task, turns: 9 };
    await router.learn([{ ...like, succeeded: false }]);
    expect(router.rank(task)[0]?.why).toBeUndefined();
    await router.learn([{ ...like, succeeded: true }]);
    expect(router.rank(task)[0]).toMatchObject({
      name: "review",
      why: expect.stringContaining("which review did"),
    });
    await router.learn(
      Array.from({ length: PAST_KEPT }, (_, at) => ({
        ...{ id: `later-${at}`, workflow: "fix", task: `Quer über Sylt ${at}`, succeeded: true },
      })),
    );
    expect(router.rank(task)[0]?.why).toBeUndefined();
  });

  it("is asked for where two are close, with these first", () => {
    const choice = createRouter(OURS).choose("Login: test it, review it");
    expect("names" in choice && choice.names.slice(0, 2).sort()).toEqual(["review", "test"]);
  });
});

describe("a start without a workflow", () => {
  const TASK = {
    message: "Find out why the export crashes",
    session_name: "export",
    repository_url: "",
    git_branch: "",
  };

  it("is asked for it with the best fit first and filled in, the reason, and what runs of it usually take", async () => {
    const past = [8, 10, 30].map((turns) => ended("fix", { turns }));
    const { call, forms } = await connectInMemory({
      store: await remember([...past, ended("fix", { task: "find out why the export crashes on save" })]),
      onForm: () => ({ action: "decline" }),
    });
    await call({ action: "run", ...TASK });
    const { workflow_name: asked } = forms[0]?.schema.properties ?? {};
    expect(asked.default).toBe("fix");
    expect(asked.description).toContain(
      'Suggested: fix, like "find out why the export crashes on save", which fix did in 9 turns.',
    );
    expect(asked.description.match(/Suggested/g)).toHaveLength(1);
    const [first] = asked.oneOf;
    expect(first.const).toBe("fix");
    expect(first.title).toMatch(/; usually 9\u201330 turns, 10 min, about \$0\.40 \(4 runs\)$/);
  });

  it("is asked with what its runs usually take, where the workflow is given", async () => {
    const { call, forms } = await connectInMemory({
      store: await remember([8, 10, 30].map((turns) => ended("fix", { turns }))),
      onForm: () => ({ action: "decline" }),
    });
    await call({ action: "run", workflow_name: "fix", message: "Mend the export" });
    expect(forms[0]?.message).toMatch(
      /\nRuns of fix take usually 10\u201330 turns, 10 min, about \$0\.40 \(3 runs\)\.$/,
    );
  });

  it("says nothing of what nobody knows", async () => {
    const { call, forms } = await connectInMemory({ onForm: () => ({ action: "decline" }) });
    await call({ action: "run", ...TASK, message: "qwertz" });
    const { workflow_name: asked } = forms[0]?.schema.properties ?? {};
    expect(asked.default).toBeUndefined();
    expect(JSON.stringify(forms)).not.toContain("usually");
  });
});

describe("a plan's step that says auto", () => {
  const plan = (task: string) => ({ steps: [{ id: "work", run: "auto", task }] });

  it("is told with the workflow that was chosen, and why", async () => {
    const { call } = await connectForPlans();
    const { text, data } = await call({ action: "plan", plan: plan("Fix the crash"), dry_run: true });
    expect(text).toContain('Chosen by their tasks: work is fix (by "fix", "crash").');
    expect(data.dry_run.waves).toEqual([["work: fix"]]);
  });

  it("asks the person where two are close, and goes on with what they choose", async () => {
    sim.api().world.script({ paceMs: 5, actions: ["Working"] });
    const answered: string[] = [];
    const { begin, forms } = await connectForPlans({
      onForm: ({ schema }) => {
        const names = schema.properties.work.oneOf.map((one: { const: string }) => one.const);
        answered.push(...names);
        return { action: "accept", content: { work: "review" } };
      },
    });
    const { text, data } = await begin(plan("Login: test it, review it"));
    expect(answered.slice(0, 2).sort()).toEqual(["review", "test"]);
    expect(forms).toHaveLength(1);
    expect(text).toContain("work is review (as you chose)");
    expect(data.plan.steps).toMatchObject([{ id: "work" }]);
  });

  it("begins nothing where the person declines, and asks nothing for what it would take", async () => {
    const { begin, call, forms } = await connectForPlans({
      onForm: () => new Promise((resolve) => setTimeout(resolve, 300, { action: "decline" })),
    });
    expect((await begin(plan("Login: test it, review it"))).data.outcome).toBe("declined");
    const dry = await call({ action: "plan", plan: plan("Login: test it, review it"), dry_run: true });
    expect([dry.isError, forms.length]).toEqual([true, 1]);
    expect(dry.text).toContain("No workflow stands out for this step");
  });
});

describe("what past runs tell in lists", () => {
  it("is how often a workflow succeeds, what it takes, and limits that it is unlikely to reach", async () => {
    const past = [
      ended("fix"),
      ended("fix", { turns: 12 }),
      ended("fix", { turns: 20 }),
      ended("fix", { outcome: "failed" }),
    ];
    const { call } = await connectInMemory({ store: await remember([...past, ended("test")]) });
    const { data } = await call({ action: "list_workflows" });
    const of = (name: string) => data.workflows.find((one: { name: string }) => one.name === name);
    expect(of("fix")).toMatchObject({
      ...{ usual: "usually 12\u201320 turns, 10 min, about $0.40 (3 runs)", success: "3 of 4 succeeded" },
      ...{ suggested_max_turns: 30, suggested_timeout: 1200 },
    });
    expect(of("test")).not.toHaveProperty("usual");
    expect(of("test")).not.toHaveProperty("success");
  });

  it("is how often plans of a template succeed, and what could become one, which nobody saves unasked", async () => {
    const sessions = ["a", "b", "it's c"].flatMap((session) =>
      ["architect", "implement", "implement", "test"].map((workflow) => ended(workflow, { session })),
    );
    const plans = [1, 2, 3].map((n) =>
      ended("", { kind: "plan", template: "fix-bug", ...(n === 2 ? { outcome: "failed" } : {}) }),
    );
    const store = await remember([...sessions, ...plans]);
    const { call, server } = await connectInMemory({ store });
    const { text, data } = await call({ action: "list_plans", repository_url: "" });
    expect(text).toContain(
      "architect \u2192 implement \u2192 test, 3 times: save it as a plan? In a terminal: " +
        "automagik-workflows-mcp plan save 'it'\\''s c' architect-implement-test",
    );
    const template = data.templates.find(({ name }: { name: string }) => name === "fix-bug");
    expect(template.success).toBe("2 of 3 succeeded");
    expect(server).toBeDefined();
  });

  it("is offered by plan save without a session, too", async () => {
    const told: string[] = [];
    const history = (figures: Figures[]) => ({ read: async () => ({ figures }) });
    const services = (figures: Figures[]) =>
      ({ sessions: { history: history(figures) }, templates: { list: async () => [] } }) as never;
    await offerInTerminal(services([]), (text) => told.push(text));
    const sessions = ["a", "b", "c"].flatMap((session) =>
      ["fix", "test"].map((workflow) => ended(workflow, { session })),
    );
    expect(await offerInTerminal(services(sessions), (text) => told.push(text))).toBe(0);
    expect(told[0]).toContain("No sequence of workflows has gone well in three sessions");
    expect(told[1]).toContain("fix \u2192 test, 3 times: save it as a plan?");
  });

  it("leaves out what did not go well, came of a plan, was one workflow only, or happened elsewhere", () => {
    const there = "https://host.example/app";
    const session = (name: string, more: Partial<Figures> = {}) =>
      ["fix", "test"].map((workflow) => ended(workflow, { session: name, repository: there, ...more }));
    const good = [...session("a"), ...session("b"), ...session("c")];
    expect(findRecurring(good, `${there}.git`)).toEqual([
      { workflows: ["fix", "test"], times: 3, session: "c" },
    ]);
    expect(findRecurring(good, "https://host.example/other")).toEqual([]);
    expect(findRecurring([...good.slice(0, 4), ...session("c", { outcome: "failed" })])).toEqual([]);
    expect(findRecurring([...good.slice(0, 4), ...session("c", { plan: "p" })])).toEqual([]);
    expect(findRecurring(["a", "b", "c"].map((name) => ended("fix", { session: name })))).toEqual([]);
  });

  it("is that of another agent only where the agent is named, and the others are told apart as without it", () => {
    const router = createRouter(OURS);
    const without = createRouter(OURS.filter(({ agent }) => agent === undefined));
    expect(OURS.some(({ agent }) => agent === "codex")).toBe(true);
    for (const task of ["Review what the branch changes", "Let a second model look at it", "Fix the login"])
      expect(router.choose(task)).toEqual(without.choose(task));
    expect(router.choose("Have Codex review my change")).toEqual({
      name: "review-codex",
      why: 'by "codex", "review"',
    });
    expect(router.rank("Review what the branch changes with Codex")[0]?.name).toBe("review-codex");
  });
});
