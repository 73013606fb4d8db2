import { readdirSync, readFileSync } from "node:fs";
import {
  createRouter,
  type DescribedWorkflow,
  PAST_KEPT,
  type PastTask,
  type Router,
} from "../src/workflows/router.js";
import { type BenchPart, median } from "./part.js";

interface LabelledTask {
  task: string;
  first: string;
  second: string;
  half: "open" | "kept-aside";
}

const readTasks = (name: string): readonly LabelledTask[] =>
  JSON.parse(readFileSync(new URL(`routing/${name}`, import.meta.url), "utf8"));
/** By the writer of the words. */
const TASKS = readTasks("tasks.json");
/** By others, who had not seen the words. */
const OTHERS = readTasks("others.json");
const FOLDER = new URL("../workflows/", import.meta.url);
const WORKFLOWS: readonly DescribedWorkflow[] = readdirSync(FOLDER).map((name) => ({
  name,
  ...JSON.parse(readFileSync(new URL(`${name}/workflow.json`, FOLDER), "utf8")),
}));
/** What a choice may take with as many past tasks as are kept, in ms. */
const GOAL_MS = 20;
const ROUNDS = 200;

const isRight = (task: LabelledTask, name: string | undefined) => name === task.first || name === task.second;

/** Tells of how many tasks the right workflow comes first, and is among the first two. */
function count(tasks: readonly LabelledTask[], rank: (task: string) => readonly string[]) {
  const ranked = tasks.map((task) => ({ task, names: rank(task.task) }));
  return {
    top1: ranked.filter(({ task, names: [best] }) => isRight(task, best)).length,
    top2: ranked.filter(({ task, names: [best, next] }) => isRight(task, best) || isRight(task, next)).length,
  };
}

/** Tasks with other nouns, so that most of them are like some and none is like another. */
function inventPast(): PastTask[] {
  return Array.from({ length: PAST_KEPT }, (_, index) => {
    const { task, first } = TASKS[index % TASKS.length] as LabelledTask;
    const noun = `component${index % 977} in module${index % 311}`;
    return {
      id: `run-${index}`,
      workflow: first,
      task: `${task} of ${noun}`,
      succeeded: index % 5 > 0,
      turns: 9,
    };
  });
}

function time(router: Router): number[] {
  return Array.from({ length: ROUNDS }, (_, round) => {
    const { task } = TASKS[round % TASKS.length] as LabelledTask;
    const began = performance.now();
    router.rank(task);
    return performance.now() - began;
  });
}

/** Tells how often the right workflow is found among the tasks of one set, its halves apart. */
async function tellSet(
  set: string,
  all: readonly LabelledTask[],
  print: (line: string) => void,
): Promise<void> {
  const past: PastTask[] = all
    .filter(({ half }) => half === "open")
    .map(({ task, first }, id) => ({ id: String(id), workflow: first, task, succeeded: true }));
  for (const half of ["open", "kept-aside"] as const) {
    const tasks = all.filter((one) => one.half === half);
    const tell = (how: string, { top1, top2 }: ReturnType<typeof count>) =>
      print(`  ${set}, ${half}, ${how}: ${top1} / ${top2} of ${tasks.length}`);
    tell(
      "always implement, then fix",
      count(tasks, () => ["implement", "fix"]),
    );
    const fresh = createRouter(WORKFLOWS);
    tell(
      "without a past",
      count(tasks, (task) => fresh.rank(task).map(({ name }) => name)),
    );
    const chosen = tasks.flatMap((task) => {
      const choice = fresh.choose(task.task);
      return "name" in choice ? [isRight(task, choice.name)] : [];
    });
    const right = chosen.filter(Boolean).length;
    print(`  ${set}, ${half}, chosen without a question: ${chosen.length}, ${right} of them right`);
    if (half === "open") continue;
    const taught = createRouter(WORKFLOWS);
    await taught.learn(past);
    tell(
      "with the open half as past tasks",
      count(tasks, (task) => taught.rank(task).map(({ name }) => name)),
    );
  }
}

/** How often the right workflow is found, and how long that takes with many past tasks. */
export const benchRouting: BenchPart = async ({ print }) => {
  print("routing: tasks whose right workflow comes first / is among the first two");
  await tellSet("tasks of others", OTHERS, print);
  await tellSet("tasks of the words' writer", TASKS, print);
  const router = createRouter(WORKFLOWS);
  const began = performance.now();
  await router.learn(inventPast());
  const learnt = performance.now() - began;
  const [first = Number.NaN, ...others] = time(router);
  const times = others.sort((a, b) => a - b);
  const p95 = times[Math.floor(times.length * 0.95)] ?? Number.NaN;
  print(
    `  ${PAST_KEPT} past tasks: taken in once in ${learnt.toFixed(0)} ms, the first choice ${first.toFixed(1)} ms, ` +
      `further ones ${median(times).toFixed(1)} ms, p95 ${p95.toFixed(1)} ms (goal: ${GOAL_MS} ms)`,
  );
  return p95 > GOAL_MS ? [`routing takes ${p95.toFixed(1)} ms with ${PAST_KEPT} past tasks`] : [];
};
