import { AjvJsonSchemaValidator } from "@modelcontextprotocol/sdk/validation/ajv";
import type { JsonSchemaType } from "@modelcontextprotocol/sdk/validation/types.js";
import { schema as githubGraphql } from "@octokit/graphql-schema";
import { buildSchema, graphql, parse, validate } from "graphql";
import { beforeAll, describe, expect, it, onTestFinished } from "vitest";
import * as z from "zod";
import { type SimulatedGithub, serveSimulatedGithub } from "../mocks/integrations/github.js";
import { readGithubDescription } from "../mocks/integrations/github-examples.js";
import * as wire from "../src/integrations/github/wire.js";

/** The simulated GitHub, and what is read of its answers, held against GitHub's own description. */

const REPO = "/repos/{owner}/{repo}";
const COMMIT = "a".repeat(40);
const description = readGithubDescription();
const ajv = new AjvJsonSchemaValidator();
const validators = new Map<string, ReturnType<AjvJsonSchemaValidator["getValidator"]>>();

/** OpenAPI 3.0 has a word of its own for what may be null. */
function asJsonSchema(tree: unknown): unknown {
  if (Array.isArray(tree)) return tree.map(asJsonSchema);
  if (typeof tree !== "object" || tree === null) return tree;
  const { nullable, discriminator: _none, ...rest } = tree as Record<string, unknown>;
  const made = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, asJsonSchema(value)]));
  return nullable === true ? { anyOf: [made, { type: "null" }] } : made;
}

const components = { schemas: asJsonSchema(description.schemas) };

/** What is wrong with an answer by the schema of GitHub; undefined for nothing. */
function faultOf(method: string, path: string, status: number, body: unknown): string | undefined {
  const name = `${method} ${path} ${status}`;
  const schema = description.calls.find((one) => one.method === method && one.path === path)?.answers[status]
    ?.schema;
  if (!schema) throw new Error(`GitHub describes no ${name}`);
  const known =
    validators.get(name) ??
    ajv.getValidator({ ...(asJsonSchema(schema) as object), components } as JsonSchemaType);
  validators.set(name, known);
  const told = known(body);
  return told.valid ? undefined : told.errorMessage;
}

async function withGithub(): Promise<{ github: SimulatedGithub; ask: typeof ask }> {
  const github = await serveSimulatedGithub();
  onTestFinished(() => github.close());
  async function ask(method: string, path: string, body?: unknown, token = "github-test-token") {
    const answer = await fetch(`${github.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "x-github-api-version": "2022-11-28" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: answer.status, body: (await answer.json()) as unknown };
  }
  const shop = github.addRepository("acme/shop");
  const issue = shop.addIssue({ title: "Login fails", body: "It does." });
  shop.addComment(issue, { author: "bob", body: "Here, too" });
  const pull = shop.addPull({
    title: "Mend it",
    body: "",
    head: "mend",
    base: "main",
    draft: true,
    author: "tess",
  });
  shop.addReview(pull, { author: "carol", body: "Not yet", state: "CHANGES_REQUESTED" });
  shop.addThread(pull, {
    ...{ path: "src/login.ts", line: 3, isResolved: false },
    comments: [
      { author: "carol", body: "Why?" },
      { author: "tess", body: "Because." },
    ],
  });
  shop.addCheck(COMMIT, { name: "test", conclusion: "failure", log: "##[error]1 failed" });
  shop.addCheck(COMMIT, { name: "lint", conclusion: null });
  shop.statuses.set(COMMIT, [{ context: "deploy", state: "failure", description: "No room" }]);
  return { github, ask };
}

describe("the simulated GitHub", () => {
  it.each([
    ["get", "/user", "/user", 200],
    ["get", "/user/repos", "/user/repos", 200],
    ["get", REPO, "/repos/acme/shop", 200],
    ["get", REPO, "/repos/acme/none", 404],
    ["get", `${REPO}/issues/{issue_number}`, "/repos/acme/shop/issues/1", 200],
    ["get", `${REPO}/issues/{issue_number}`, "/repos/acme/shop/issues/9", 404],
    ["get", `${REPO}/issues/{issue_number}/comments`, "/repos/acme/shop/issues/1/comments", 200],
    ["get", `${REPO}/pulls`, "/repos/acme/shop/pulls?head=acme:mend&state=open", 200],
    ["get", `${REPO}/pulls/{pull_number}`, "/repos/acme/shop/pulls/3", 200],
    ["get", `${REPO}/pulls/{pull_number}/reviews`, "/repos/acme/shop/pulls/3/reviews", 200],
    ["get", `${REPO}/pulls/{pull_number}/comments`, "/repos/acme/shop/pulls/3/comments", 200],
    ["get", `${REPO}/commits/{ref}/check-runs`, `/repos/acme/shop/commits/${COMMIT}/check-runs`, 200],
    ["get", `${REPO}/commits/{ref}/status`, `/repos/acme/shop/commits/${COMMIT}/status`, 200],
    ["get", `${REPO}/actions/runs`, `/repos/acme/shop/actions/runs?head_sha=${COMMIT}`, 200],
    ["get", `${REPO}/actions/runs/{run_id}/jobs`, "/repos/acme/shop/actions/runs/77/jobs", 200],
  ])("answers %s %s (%s) with %i as GitHub describes it", async (method, path, asked, status) => {
    const { ask } = await withGithub();
    const answer = await ask(method.toUpperCase(), asked);
    expect(answer.status).toBe(status);
    expect(faultOf(method, path, status, answer.body)).toBeUndefined();
  });

  it("answers what is written as GitHub describes it, and says no as GitHub does", async () => {
    const { github, ask } = await withGithub();
    const comments = `${REPO}/issues/{issue_number}/comments`;
    const added = await ask("POST", "/repos/acme/shop/issues/1/comments", { body: "Done" });
    expect(faultOf("post", comments, 201, added.body)).toBeUndefined();
    const { id } = added.body as { id: number };
    const edited = await ask("PATCH", `/repos/acme/shop/issues/comments/${id}`, { body: "Done twice" });
    expect(faultOf("patch", `${REPO}/issues/comments/{comment_id}`, 200, edited.body)).toBeUndefined();
    const opened = await ask("POST", "/repos/acme/shop/pulls", { title: "T", head: "other", base: "main" });
    expect(faultOf("post", `${REPO}/pulls`, 201, opened.body)).toBeUndefined();
    const again = await ask("POST", "/repos/acme/shop/pulls", { title: "T", head: "other", base: "main" });
    expect(again).toMatchObject({ status: 422, body: { errors: [{ code: "custom" }] } });
    expect(faultOf("post", `${REPO}/pulls`, 422, again.body)).toBeUndefined();
    github.isFineGrained = true;
    const refused = await ask("GET", `/repos/acme/shop/commits/${COMMIT}/check-runs`);
    expect(refused.status).toBe(403);
    expect(faultOf("get", REPO, 403, refused.body)).toBeUndefined();
    expect(await ask("GET", "/user", undefined, "another")).toMatchObject({ status: 401 });
  });

  it("answers the query for review threads as GitHub's GraphQL schema has it", async () => {
    const { ask } = await withGithub();
    const schema = buildSchema(githubGraphql.idl, { assumeValidSDL: true });
    expect(validate(schema, parse(wire.THREADS_QUERY))).toEqual([]);
    const variableValues = { owner: "acme", name: "shop", number: 3 };
    const answer = await ask("POST", "/graphql", { query: wire.THREADS_QUERY, variables: variableValues });
    const { data } = answer.body as { data: Record<string, unknown> };
    // What the schema would not give is refused or missing here.
    const executed = await graphql({ schema, source: wire.THREADS_QUERY, variableValues, rootValue: data });
    expect(executed.errors).toBeUndefined();
    expect(JSON.parse(JSON.stringify(executed.data))).toEqual(withoutTypes(data));
  });
});

function withoutTypes(tree: unknown): unknown {
  return JSON.parse(JSON.stringify(tree, (key, value) => (key === "__typename" ? undefined : value)));
}

describe("what is read of GitHub's answers", () => {
  const examples = (method: string, path: string) => {
    const call = description.calls.find((one) => one.method === method && one.path === path);
    return (call?.answers["200"] ?? call?.answers["201"])?.examples ?? [];
  };

  beforeAll(() =>
    expect(description.from).toMatch(/^@octokit\/openapi \d+\.\d+\.\d+, api\.github\.com, MIT$/),
  );

  it.each<[string, string, z.ZodType]>([
    ["get", "/user", wire.userWire],
    ["get", "/user/repos", z.array(wire.repositoryWire)],
    ["get", REPO, wire.repositoryWire],
    ["get", `${REPO}/issues/{issue_number}`, wire.issueWire],
    ["get", `${REPO}/issues/{issue_number}/comments`, z.array(wire.commentWire)],
    ["post", `${REPO}/issues/{issue_number}/comments`, wire.commentWire],
    ["patch", `${REPO}/issues/comments/{comment_id}`, wire.commentWire],
    ["get", `${REPO}/pulls`, z.array(wire.pullWire)],
    ["post", `${REPO}/pulls`, wire.pullWire],
    ["get", `${REPO}/pulls/{pull_number}`, wire.pullWire],
    ["get", `${REPO}/pulls/{pull_number}/reviews`, z.array(wire.reviewWire)],
    ["get", `${REPO}/pulls/{pull_number}/comments`, z.array(wire.reviewCommentWire)],
    ["get", `${REPO}/commits/{ref}/check-runs`, wire.checkRunsWire],
    ["get", `${REPO}/commits/{ref}/status`, wire.statusesWire],
    ["get", `${REPO}/actions/runs`, wire.workflowRunsWire],
    ["get", `${REPO}/actions/runs/{run_id}/jobs`, wire.jobsWire],
  ])("takes the example of %s %s", (method, path, schema) => {
    const given = examples(method, path);
    expect(given.length).toBeGreaterThan(0);
    for (const example of given) expect(schema.safeParse(example).error).toBeUndefined();
  });
});
