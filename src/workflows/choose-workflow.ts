import type { Workflow } from "../api/types.js";

/** The workflow that a task is for; or, where nothing stands out, the nearest ones, best first (all when none is near). */
export type WorkflowChoice = { name: string } | { names: string[] };

/** What is known of a workflow in words. */
export type DescribedWorkflow = Pick<Workflow, "name" | "description"> &
  Partial<Pick<Workflow, "displayName" | "category" | "capabilities">>;

/** What a matching word counts for by where it stands. */
const IN_NAME = 3;
const IN_CAPABILITIES = 2;
const IN_DESCRIPTION = 1;
/** The first word of a task mostly says what is to be done, and the rest with what. */
const FIRST_COUNTS = 2;
/** Below this, or with another workflow this near, nothing stands out. */
const LEAST_SCORE = 1.5;
const LEAST_LEAD = 1.5;
/** Of a long task the beginning decides. */
const MAX_TASK_CHARS = 4_000;
const MAX_NAMES = 20;

/** Other words for what workflows are called and described by. */
const SAME: Readonly<Record<string, string>> = {
  ...spread("implement", "build add develop make"),
  ...spread("fix", "bug defect repair mend broken crash"),
  ...spread("test", "verify coverage check"),
  ...spread("review", "inspect assess critique audit"),
  ...spread("document", "docs readme guide explain"),
  ...spread("architect", "design specify plan schema"),
  ...spread("refactor", "restructure simplify tidy rename"),
};

/** Too common to tell anything. */
const STOP = new Set(
  "a an and are as at be by do for from in into is it of on or so that the this to use what with".split(" "),
);

/**
 * Makes what chooses a workflow by the catalogue's own words: those of names, capabilities and descriptions that the task
 * has. The same task and catalogue always give the same. Pure, and without a model: a plain guess that says so when it
 * has none.
 */
export function createWorkflowChooser(
  workflows: readonly DescribedWorkflow[],
): (task: string) => WorkflowChoice {
  const entries = workflows.map((workflow) => ({ name: workflow.name, words: weighWords(workflow) }));
  /** How many workflows have a word: what many have tells little of any. */
  const shared = new Map<string, number>();
  for (const { words } of entries)
    for (const word of words.keys()) shared.set(word, (shared.get(word) ?? 0) + 1);

  return (task) => {
    const asked = wordsOf(task.slice(0, MAX_TASK_CHARS));
    const scored = entries
      .map(({ name, words }) => {
        let score = 0;
        for (const word of new Set(asked))
          score +=
            ((words.get(word) ?? 0) * (word === asked[0] ? FIRST_COUNTS : 1)) / (shared.get(word) ?? 1);
        return { name, score };
      })
      .sort((one, other) => other.score - one.score || (one.name < other.name ? -1 : 1));
    const [best, second] = scored;
    if (best && best.score >= LEAST_SCORE && best.score >= (second?.score ?? 0) * LEAST_LEAD)
      return { name: best.name };
    const near = scored.filter(({ score }) => score > 0);
    return { names: (near.length > 1 ? near : scored).slice(0, MAX_NAMES).map(({ name }) => name) };
  };
}

function weighWords({
  name,
  displayName = "",
  description,
  category = "",
  capabilities = [],
}: DescribedWorkflow): Map<string, number> {
  const words = new Map<string, number>();
  for (const word of wordsOf(`${description} ${category}`)) words.set(word, IN_DESCRIPTION);
  for (const word of wordsOf(capabilities.join(" "))) words.set(word, IN_CAPABILITIES);
  for (const word of wordsOf(`${name} ${displayName}`)) words.set(word, IN_NAME);
  return words;
}

/** The words of a text that can tell something, each in one form. */
function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== "" && !STOP.has(word))
    .map((word) => SAME[stem(word)] ?? stem(word));
}

/** "tests", "testing" and "tested" are one word. */
function stem(word: string): string {
  return word.replace(/(?<=^.{3,})(?:ations?|ings?|ures?|ers?|ed|es|s|e)$/, "");
}

function spread(meant: string, others: string): Record<string, string> {
  return Object.fromEntries(others.split(" ").map((word) => [stem(word), stem(meant)]));
}
