import MiniSearch from "minisearch";
import type { Workflow } from "../api/types.js";
import { cleanLine, cutText } from "../shared/text.js";
import { KIND_WORDS } from "./kind-words.js";

/** What is known of a workflow in words. */
export type DescribedWorkflow = Pick<Workflow, "name" | "description"> &
  Partial<Pick<Workflow, "displayName" | "category" | "capabilities" | "agent">>;

/** A task that was done before, and how that went. */
export interface PastTask {
  /** The run's id. */
  id: string;
  workflow: string;
  task: string;
  succeeded: boolean;
  turns?: number | undefined;
}

/** How well a workflow fits a task. */
export interface Fit {
  name: string;
  /** Its share of all that speaks for any workflow, 0 to 1. */
  share: number;
  /** What speaks for it: a clause; missing where nothing does. */
  why?: string;
}

/** The workflow that a task is for, and why; or, where nothing stands out, the nearest ones, best first. */
export type WorkflowChoice = { name: string; why: string } | { names: string[] };

/** Says which workflows a task is for, by the words of their descriptions and of past tasks. No model is asked. */
export interface Router {
  /** All workflows, the best fit first; the same task and past always give the same. */
  rank(task: string): Fit[];
  /** The one that stands out. */
  choose(task: string): WorkflowChoice;
  /** Takes in past tasks, and lets go of the oldest beyond {@link PAST_KEPT}. The rest of the process goes on in between. */
  learn(past: readonly PastTask[]): Promise<void>;
}

/** Of a long task the beginning decides. */
const MAX_TASK_CHARS = 600;
const MAX_NAMES = 20;
/** The newest past tasks. */
export const PAST_KEPT = 10_000;
const LEARNT_AT_ONCE = 200;
/** What a matching word counts for by where it stands. */
const BOOST = { name: 3, capabilities: 2, words: 2, description: 1 };
/** The first word of a task mostly says what is to be done, and the rest with what. */
const FIRST_COUNTS = 2;
/** Two words together say more than each: "go wrong" is not "wrong". */
const PAIR_COUNTS = 1.6;
/** Short descriptions are no better than long ones. */
const BM25 = { k: 1.2, b: 0, d: 0.5 };
/** So many of the most similar past tasks count, together at most half as much as the words. */
const SIMILAR = 10;
const PAST_COUNTS = 0.5;
/** So many past tasks are looked at: what is in more of them tells little. */
const MOST_LOOKED_AT = 1_000;
/** What a past task counts for that has not succeeded: it was given to that workflow all the same. */
const FAILED_COUNTS = 0.25;
/** With another workflow this near nothing stands out. */
const CLOSE = 0.75;
/** So much of a task's words a past one has to have, for being told as a reason. */
const TOLD_COVER = 0.5;
const TOLD_CHARS = 80;

/** What people ask for most, where nothing else tells workflows apart. */
const USUAL = ["implement", "fix"];

/** Too common to tell anything. */
const STOP = new Set(
  "a an and are as at be by for from in into is it of on or so that the this to use what with".split(" "),
);

interface Similar {
  past: PastTask;
  score: number;
  /** The part of the task's words that it has. */
  cover: number;
}

/** @param workflows as the catalogue has them; of well-known kinds more words are known than they say themselves */
export function createRouter(workflows: readonly DescribedWorkflow[]): Router {
  const processTerm = (term: string) => term;
  const index = new MiniSearch({ tokenize: termsOf, processTerm, fields: Object.keys(BOOST) });
  const usualOf = workflows.map((workflow) => variantOf(workflow, workflows));
  const described = workflows.map((workflow, id) => ({ id, ...describe(workflow, usualOf[id]) }));
  index.addAll(described);
  const vocabulary = new Set(described.flatMap((one) => termsOf(Object.values(one).join(" "))));
  const tasks = new MiniSearch<{ id: string; task: string }>({
    tokenize: wordsOf,
    processTerm,
    fields: ["task"],
  });
  const known = new Map<string, PastTask>();
  /** How many past tasks have a word. */
  const frequency = new Map<string, number>();
  const names = new Set(workflows.map(({ name }) => name));

  /** How many past tasks each workflow was given. */
  const given = new Map<string, number>();
  const used = (name: string) => given.get(name) ?? 0;

  function count({ workflow, task }: PastTask, by: 1 | -1): void {
    given.set(workflow, used(workflow) + by);
    for (const word of new Set(wordsOf(task))) frequency.set(word, (frequency.get(word) ?? 0) + by);
  }

  let last: { text: string; fits: Fit[] } | undefined;

  /** Words that no workflow has tell nothing, and a long task has many of them. */
  function search(task: TaskWords) {
    const terms = [...new Set([...task.telling, ...task.pairs])].filter((term) => vocabulary.has(term));
    if (terms.length === 0) return [];
    const [first] = task.telling;
    const boostTerm = (term: string) =>
      term.includes("_") ? PAIR_COUNTS : term === first ? FIRST_COUNTS : 1;
    return index.search(terms.join(" "), {
      tokenize: (text) => text.split(" "),
      ...{ boost: BOOST, boostTerm, bm25: BM25 },
    });
  }

  function findSimilar(words: readonly string[]): Similar[] {
    const asked = new Set(words);
    const terms = takeRare([...asked]);
    if (terms.length === 0) return [];
    const found = tasks.search(terms.join(" "), { tokenize: (text) => text.split(" "), bm25: BM25 });
    return found.slice(0, SIMILAR).flatMap(({ id, score }) => {
      const past = known.get(String(id));
      if (!past || !names.has(past.workflow)) return [];
      const shared = new Set(wordsOf(past.task).filter((word) => asked.has(word)));
      return [{ past, score, cover: shared.size / asked.size }];
    });
  }

  /** The rarest words first, up to the limit of past tasks that are compared for one choice. */
  function takeRare(words: readonly string[]): string[] {
    const often = (word: string) => frequency.get(word) ?? 0;
    let left = MOST_LOOKED_AT;
    return words
      .filter((word) => often(word) > 0)
      .sort((one, other) => often(one) - often(other))
      .filter((word) => {
        left -= often(word);
        return left >= 0;
      });
  }

  function rank(whole: string): Fit[] {
    const text = whole.slice(0, MAX_TASK_CHARS);
    // A plan may have a thousand steps that are told the same.
    if (last?.text !== text) last = { text, fits: weigh(readTask(text)) };
    return last.fits;
  }

  function weigh(task: TaskWords): Fit[] {
    const scores = new Map(workflows.map(({ name }) => [name, 0]));
    const words = new Map<string, Set<string>>();
    const found = search(task);
    const sum = found.reduce((all, { score }) => all + score, 0);
    for (const { id, score, queryTerms } of found) {
      const { name } = workflows[id] as DescribedWorkflow;
      const instead = found.find((one) => workflows[one.id] === usualOf[id]);
      scores.set(name, (score + (instead?.score ?? 0)) / sum);
      words.set(name, new Set([...queryTerms, ...(instead?.queryTerms ?? [])]));
    }
    const similar = findSimilar(task.telling);
    const all = similar.reduce((total, { score }) => total + score, 0);
    // The less of the task the most similar one has, the less all of them tell.
    const weight = PAST_COUNTS * (similar[0]?.cover ?? 0);
    for (const { past, score } of similar) {
      const part = (weight * score * (past.succeeded ? 1 : FAILED_COUNTS)) / all;
      scores.set(past.workflow, (scores.get(past.workflow) ?? 0) + part);
    }
    const total = [...scores.values()].reduce((one, other) => one + other, 0);
    return (
      [...scores]
        // Those that fit equally well: as often as they were chosen before, then as most people want them, then as listed.
        .sort(
          ([one, score], [other, more]) =>
            more - score || used(other) - used(one) || usual(one) - usual(other),
        )
        .map(([name, score]) => {
          const why = score > 0 ? tellWhy(name, task, similar, words.get(name)) : undefined;
          return { name, share: total === 0 ? 0 : score / total, ...(why ? { why } : {}) };
        })
    );
  }

  return {
    rank,
    choose(task) {
      const fits = rank(task);
      const [best, second] = fits;
      if (best?.why && (second?.share ?? 0) < CLOSE * best.share) return { name: best.name, why: best.why };
      const near = fits.filter(({ share }) => share > 0);
      return { names: (near.length > 1 ? near : fits).slice(0, MAX_NAMES).map(({ name }) => name) };
    },
    async learn(past) {
      const newest = past.slice(-PAST_KEPT);
      const fresh = newest.filter(({ id }) => !known.has(id));
      // How a run has ended may be told otherwise later.
      for (const one of newest) if (known.has(one.id)) known.set(one.id, one);
      for (const one of fresh) {
        known.set(one.id, one);
        count(one, 1);
      }
      const documents = fresh.map(({ id, task }) => ({ id, task }));
      await tasks.addAllAsync(documents, { chunkSize: LEARNT_AT_ONCE });
      for (const [id, one] of known) {
        if (known.size <= PAST_KEPT) break;
        known.delete(id);
        count(one, -1);
        tasks.discard(id);
      }
      last = undefined;
    },
  };
}

/** The workflow of which this one is the same by another agent, by its name: `review` of `review-codex`. */
function variantOf(
  { name, agent }: DescribedWorkflow,
  workflows: readonly DescribedWorkflow[],
): DescribedWorkflow | undefined {
  if (agent === undefined) return undefined;
  return workflows.find((other) => other.agent !== agent && name.startsWith(`${other.name}-`));
}

/** @param usual it is found only by what its name has beside that one's: "codex", and is meant then in that one's place */
function describe(
  { name, displayName = "", description, category = "", capabilities = [] }: DescribedWorkflow,
  usual?: DescribedWorkflow,
): Record<keyof typeof BOOST, string> {
  const names = `${name} ${displayName}`;
  if (usual) {
    const shared = new Set(wordsOf(Object.values(describe(usual)).join(" ")));
    const own = splitWords(names).filter((word) => !shared.has(stem(word)));
    return { name: own.join(" "), capabilities: "", words: "", description: "" };
  }
  return {
    name: names,
    capabilities: capabilities.join(" "),
    words: KIND_WORDS[name.toLowerCase()] ?? "",
    description: `${description} ${category}`,
  };
}

/** Where a workflow stands among those that people ask for most; the others share the last place. */
function usual(name: string): number {
  const at = USUAL.indexOf(name.toLowerCase());
  return at === -1 ? USUAL.length : at;
}

/** The past task that is most like it, or the words that speak for the workflow. */
function tellWhy(
  name: string,
  { words, stems, pairs }: TaskWords,
  similar: readonly Similar[],
  terms: ReadonlySet<string> = new Set(),
): string | undefined {
  const like = similar.find(
    ({ past, cover }) => past.workflow === name && past.succeeded && cover >= TOLD_COVER,
  );
  if (like) {
    const { turns, task: before } = like.past;
    const shown = cutText(cleanLine(before), TOLD_CHARS);
    return `like "${shown}", which ${name} did${turns ? ` in ${turns} turn${turns === 1 ? "" : "s"}` : ""}`;
  }
  const says = (word: string, at: number) =>
    terms.has(stems[at] ?? "") ? word : terms.has(pairs[at] ?? "") ? `${word} ${words[at + 1]}` : undefined;
  const said = [...new Set(words.map(says))].filter((one) => one !== undefined).slice(0, 3);
  return said.length > 0 ? `by ${said.map((word) => `"${cutText(word, 40)}"`).join(", ")}` : undefined;
}

/** A task's words as they stand, each in one form, and each with its neighbour; `telling`: those that can tell something. */
interface TaskWords {
  words: string[];
  stems: string[];
  pairs: string[];
  telling: string[];
}

function readTask(text: string): TaskWords {
  const words = splitWords(text);
  const stems = words.map(stem);
  const pairs = stems.slice(1).map((next, at) => `${stems[at]}_${next}`);
  return { words, stems, pairs, telling: stems.filter((_, at) => !STOP.has(words[at] ?? "")) };
}

/** What a workflow's description is found by: its words, and each with its neighbour. */
function termsOf(text: string): string[] {
  const { telling, pairs } = readTask(text);
  return [...telling, ...pairs];
}

function wordsOf(text: string): string[] {
  return splitWords(text)
    .filter((word) => !STOP.has(word))
    .map(stem);
}

function splitWords(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[^\p{L}\p{N}_]+/u)
    .filter((word) => word !== "");
}

/** "tests", "testing" and "tested" are one word; of a pair each is. */
function stem(word: string): string {
  if (word.includes("_")) return word.split("_").map(stem).join("_");
  return word.replace(/^(.{3,}?)(?:ations?|ings?|ures?|ers?|ed|es|s|e)$/, "$1");
}
