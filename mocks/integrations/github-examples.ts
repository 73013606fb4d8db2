import { readFileSync } from "node:fs";
import type { components } from "@octokit/openapi-types";

export type Schemas = components["schemas"];

/** GitHub's own description of the calls in use: answers by status, with schema and examples. */
export interface GithubDescription {
  from: string;
  calls: {
    method: string;
    path: string;
    answers: Record<string, { schema: Record<string, unknown>; examples: unknown[] }>;
  }[];
  schemas: Record<string, unknown>;
}

const FILE = new URL("../../test/fixtures/github/description.json", import.meta.url);

export function readGithubDescription(): GithubDescription {
  return JSON.parse(readFileSync(FILE, "utf8")) as GithubDescription;
}

/** The first example of a successful answer; each call gives one of its own. */
export function createExamples(): <T>(method: string, path: string) => T {
  const { calls } = readGithubDescription();
  return <T>(method: string, path: string): T => {
    const call = calls.find((one) => one.method === method && one.path === path);
    const [example] = (call?.answers["200"] ?? call?.answers["201"])?.examples ?? [];
    if (example === undefined) throw new Error(`There is no example of ${method} ${path}`);
    return complete(structuredClone(example)) as T;
  };
}

/** What GitHub's examples lack although its description requires it, by what such an object is known by. */
const LACKING: [isOne: (object: Record<string, unknown>) => boolean, lacking: Record<string, unknown>][] = [
  [(one) => "stargazers_count" in one && "full_name" in one, { language: null }],
  [
    (one) => "notification_setting" in one || ("privacy" in one && "permission" in one),
    { type: "organization", organization_id: 1 },
  ],
  [(one) => "check_run_url" in one && "steps" in one, { created_at: "2020-01-20T17:42:39Z" }],
];

function complete(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(complete);
  if (typeof tree !== "object" || tree === null) return tree;
  const object = Object.fromEntries(Object.entries(tree).map(([key, value]) => [key, complete(value)]));
  const found = LACKING.find(([isOne]) => isOne(object));
  return found ? { ...found[1], ...object } : object;
}
