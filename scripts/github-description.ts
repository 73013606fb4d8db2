/**
 * Takes out of GitHub's own description of its API what the simulated GitHub and its tests are held against: the answers
 * of the calls in use, their schemas and examples.
 *
 *   npm pack @octokit/openapi@23.0.2 && tar xzf octokit-openapi-23.0.2.tgz   # 28 MB, 385 MB unpacked
 *   npx tsx scripts/github-description.ts package
 */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const REPO = "/repos/{owner}/{repo}";
const CALLS: [method: string, path: string][] = [
  ["get", "/user"],
  ["get", "/user/repos"],
  ["get", REPO],
  ["get", `${REPO}/issues/{issue_number}`],
  ["get", `${REPO}/issues/{issue_number}/comments`],
  ["post", `${REPO}/issues/{issue_number}/comments`],
  ["patch", `${REPO}/issues/comments/{comment_id}`],
  ["get", `${REPO}/pulls`],
  ["post", `${REPO}/pulls`],
  ["get", `${REPO}/pulls/{pull_number}`],
  ["get", `${REPO}/pulls/{pull_number}/reviews`],
  ["get", `${REPO}/pulls/{pull_number}/comments`],
  ["get", `${REPO}/commits/{ref}/check-runs`],
  ["get", `${REPO}/commits/{ref}/status`],
  ["get", `${REPO}/actions/runs`],
  ["get", `${REPO}/actions/runs/{run_id}/jobs`],
];
const ANSWERS = ["200", "201", "403", "404", "422"];

type Tree = { [key: string]: Tree };

const [folder = "package"] = process.argv.slice(2);
const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
const whole = JSON.parse(readFileSync(join(folder, "generated/api.github.com.json"), "utf8")) as Tree;
const find = (ref: string) =>
  ref
    .slice(2)
    .split("/")
    .reduce((tree, key) => tree[key] as Tree, whole);

const components: { [kind: string]: { [name: string]: unknown } } = {};

/** What is said of a value for readers is left out; a property may be called so. */
function slim(tree: unknown, isProperties = false): unknown {
  if (Array.isArray(tree)) return tree.map((one) => slim(one));
  if (typeof tree !== "object" || tree === null) return tree;
  const { $ref } = tree as { $ref?: unknown };
  if (typeof $ref === "string") take($ref);
  return Object.fromEntries(
    Object.entries(tree)
      .filter(([key]) => isProperties || !["description", "externalDocs", "x-github"].includes(key))
      .map(([key, value]) => [key, slim(value, key === "properties")]),
  );
}

function take(ref: string): void {
  const [, , kind = "", name = ""] = ref.split("/");
  components[kind] ??= {};
  const taken = components[kind];
  if (name in taken) return;
  taken[name] = {};
  taken[name] = kind === "examples" ? find(ref) : slim(find(ref));
}

/** Some examples are references, and some values of examples are. */
function resolveValue(example: unknown): unknown {
  const { $ref, value } = example as { $ref?: unknown; value?: unknown };
  if (typeof $ref === "string") return resolveValue(find($ref));
  const isReference = typeof (value as { $ref?: unknown } | null)?.$ref === "string";
  return isReference ? resolveValue(value) : value;
}

const calls = CALLS.map(([method, path]) => {
  const described = whole.paths?.[path]?.[method];
  if (!described) throw new Error(`GitHub describes no ${method} ${path}`);
  const { responses } = described as unknown as { responses: Tree };
  const answers = Object.entries(responses).flatMap(([status, told]) => {
    const response = typeof told.$ref === "string" ? find(told.$ref as unknown as string) : told;
    const json = response.content?.["application/json"];
    if (!json || !ANSWERS.includes(status)) return [];
    const examples = Object.values(json.examples ?? {}).map(resolveValue);
    return [[status, { schema: slim(json.schema), examples }]];
  });
  return { method, path, answers: Object.fromEntries(answers) };
});

const from = `@octokit/openapi ${version}, api.github.com, MIT`;
const file = fileURLToPath(new URL("../test/fixtures/github/description.json", import.meta.url));
writeFileSync(file, `${JSON.stringify({ from, calls, schemas: components.schemas })}\n`);
