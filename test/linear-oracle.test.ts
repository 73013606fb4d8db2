import { readFileSync } from "node:fs";
import {
  AuthenticationLinearError,
  InvalidInputLinearError,
  LinearClient,
  type LinearDocument,
  RatelimitedLinearError,
} from "@linear/sdk";
import { buildSchema, parse, validate } from "graphql";
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from "vitest";
import { type FakeLinear, serveFakeLinear } from "../mocks/integrations/linear.js";
import { DOCUMENTS } from "../src/integrations/linear/documents.js";
import type {
  LinearIssue,
  LinearProject,
  LinearState,
  LinearTeam,
  LinearViewer,
} from "../src/integrations/linear/types.js";

const KEY = "lin_api_oracle";
const schema = buildSchema(readFileSync("mocks/integrations/linear-schema.graphql", "utf8"));

let fake: FakeLinear;
beforeEach(async () => {
  fake = await serveFakeLinear({ key: KEY });
});
afterEach(() => fake.close());

describe("what this product asks of Linear", () => {
  it.each(Object.entries(DOCUMENTS))("%s is valid in Linear's schema", (_name, text) => {
    expect(validate(schema, parse(text)).map(({ message }) => message)).toEqual([]);
  });

  it("is a mutation exactly where it changes something, which decides what may be tried again", () => {
    const changing = Object.entries(DOCUMENTS).filter(([, text]) => text.startsWith("mutation"));
    const kinds = changing.map(([name]) => name);
    expect(kinds).toEqual(["CREATE_ISSUE", "MOVE_ISSUE", "CREATE_COMMENT", "UPDATE_COMMENT", "ATTACH"]);
  });

  it("gives what the types of Linear's own client say", () => {
    expectTypeOf<LinearDocument.WorkflowState>().toExtend<LinearState>();
    expectTypeOf<LinearDocument.Team>().toExtend<LinearTeam>();
    expectTypeOf<LinearDocument.Project>().toExtend<LinearProject>();
    expectTypeOf<LinearDocument.User>().toExtend<LinearViewer>();
    // A time is a date to that client, and the text of one to us.
    expectTypeOf<LinearDocument.Issue>().toExtend<Omit<LinearIssue, "comments">>();
    expectTypeOf<LinearDocument.Comment["body"]>().toEqualTypeOf<
      LinearIssue["comments"]["nodes"][number]["body"]
    >();
  });
});

describe("the fake, as Linear's own client sees it", () => {
  const connect = (apiKey = KEY) => new LinearClient({ apiKey, apiUrl: fake.url });

  it("tells who the key is, the teams, their states and projects", async () => {
    fake.world.addTeam("ENG", "Engineering", ["Checkout", "Search"]);
    const client = connect();
    expect((await client.viewer).displayName).toBe("ann");
    const { nodes: teams } = await client.teams();
    expect(teams.map(({ key, name }) => [key, name])).toEqual([["ENG", "Engineering"]]);
    const { nodes: projects } = await teams[0]!.projects();
    expect(projects.map(({ name }) => name)).toEqual(["Checkout", "Search"]);
    const { nodes: states } = await teams[0]!.states();
    expect(
      states.filter(({ type }) => type === "started").map(({ name, position }) => [name, position]),
    ).toEqual([
      ["In Review", 1002],
      ["In Progress", 2],
    ]);
  });

  it("makes an issue, moves it, comments on it and attaches an address once", async () => {
    const team = fake.world.addTeam("ENG", "Engineering");
    const client = connect();
    const made = await client.createIssue({
      teamId: team.id,
      title: "Log in fails",
      description: "Since Monday.",
    });
    const issue = await made.issue;
    expect(issue).toMatchObject({ identifier: "ENG-123", title: "Log in fails" });
    expect((await issue?.state)?.name).toBe("Backlog");
    const started = team.states.find(({ name }) => name === "In Progress");
    await client.updateIssue("ENG-123", { stateId: started!.id });
    const id = "0b7f2f0e-7a1e-4c51-9d0a-0d7c6f2f3a11";
    await client.createComment({ id, issueId: "ENG-123", body: "begun" });
    await client.updateComment(id, { body: "done" });
    for (const title of ["draft", "ready"])
      await client.createAttachment({ issueId: issue!.id, url: "https://example.com/pull/1", title });
    const found = await client.issue("ENG-123");
    expect((await found.state)?.name).toBe("In Progress");
    expect((await found.comments()).nodes.map(({ body }) => body)).toEqual(["done"]);
    expect((await found.attachments()).nodes.map(({ title }) => title)).toEqual(["ready"]);
    expect((await client.comment({ id })).body).toBe("done");
  });

  it("refuses in the shapes that Linear's client reads", async () => {
    await expect(connect("lin_api_wrong").viewer).rejects.toBeInstanceOf(AuthenticationLinearError);
    await expect(connect().issue("ENG-9")).rejects.toMatchObject({
      constructor: InvalidInputLinearError,
      status: 200,
      errors: [{ userError: true, message: "Could not find referenced Issue." }],
    });
    fake.fail("teams", { kind: "too many", resetInMs: 60_000 });
    await expect(connect().teams()).rejects.toMatchObject({
      constructor: RatelimitedLinearError,
      requestsRemaining: 0,
      requestsResetAt: expect.any(Number),
    });
  });

  it("takes no id twice, and none that is no UUID of version 4", async () => {
    const team = fake.world.addTeam("ENG", "Engineering");
    fake.world.addIssue(team, "Log in fails");
    const client = connect();
    const id = "0b7f2f0e-7a1e-4c51-9d0a-0d7c6f2f3a11";
    await client.createComment({ id, issueId: "ENG-123", body: "once" });
    await expect(client.createComment({ id, issueId: "ENG-123", body: "twice" })).rejects.toThrow(
      "there already",
    );
    await expect(client.createComment({ id: "1", issueId: "ENG-123", body: "b" })).rejects.toThrow("UUID");
  });
});
