import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { describeRefusals } from "./refusals.js";
import { describeRuns } from "./runs.js";
import {
  API,
  type ContractClient,
  type ContractServer,
  createContractClient,
  recordedAnswer,
  sharedShape,
} from "./upstream.js";
import { describeWork } from "./work.js";

export type { ContractServer, RunScript } from "./upstream.js";

/** The server and the client of the running cases. */
export interface ContractAccess {
  server(): ContractServer;
  client(): ContractClient;
}

/** Contract's own workflows; a server may have more. */
const WORKFLOWS = ["architect", "implement", "test", "review", "fix", "refactor", "document"];
const PATHS = [
  "/run/{workflow_name}",
  "/runs",
  "/run/{run_id}/status",
  "/run/{run_id}/add-message",
  "/run/{run_id}/message-queue",
  "/run/{run_id}/kill",
  "/run/{run_id}/cleanup",
  "/manage",
  "/health",
];

/**
 * The contract of the workflows API as cases over HTTP and over the product's own client, for any server that keeps
 * it. One server serves all cases; what a case starts it finds again by its own user id.
 */
export function describeContract(name: string, start: () => Promise<ContractServer>): void {
  describe(`the contract, kept by ${name}`, () => {
    let server: ContractServer;
    let client: ContractClient;
    beforeAll(async () => {
      server = await start();
      client = createContractClient(server);
    });
    afterAll(() => server?.close());

    describeAccess({ server: () => server, client: () => client });
    describeRuns({ server: () => server, client: () => client });
    describeWork({ server: () => server, client: () => client });
    describeRefusals({ server: () => server, client: () => client });
  });
}

function describeAccess({ server, client }: ContractAccess): void {
  describe("access", () => {
    it("answers the root's health check without a key", async () => {
      const { status, body } = await client().call("GET", "root:/health", { headers: {} });
      expect(status).toBe(200);
      expect(body).toMatchObject({ status: "healthy", version: expect.any(String) });
      const theirs = recordedAnswer("root-health");
      expect(Object.keys(body)).toEqual(expect.arrayContaining(Object.keys(theirs)));
      const shape = sharedShape(body, theirs);
      expect(shape.ours).toEqual(shape.theirs);
    });

    it("takes the key from the header, the query and the bearer token", async () => {
      const { apiKey } = server();
      const ways = [
        { headers: { "x-api-key": apiKey } },
        { headers: {}, query: { "x-api-key": apiKey } },
        { headers: { authorization: `Bearer ${apiKey}` } },
      ];
      for (const way of ways) expect((await client().call("GET", "/runs", way)).status).toBe(200);
    });

    it.each([
      ["no key", {}, "auth-missing-401"],
      ["an empty key", { "x-api-key": "" }, "auth-empty-401"],
      ["a wrong key", { "x-api-key": "wrong" }, "auth-wrong-401"],
    ])("refuses %s in the recorded words", async (_what, headers, recording) => {
      const { status, body } = await client().call("GET", "/manage", { headers });
      expect({ status, body }).toEqual({ status: 401, body: recordedAnswer(recording) });
    });

    it("wants the key before it says whether a path exists", async () => {
      const { call, get } = client();
      expect((await call("GET", "/nowhere", { headers: {} })).status).toBe(401);
      expect((await call("GET", "/health", { headers: {} })).status).toBe(401);
      for (const path of ["/nowhere", "/run/a/b/status", "root:/nowhere", "/workflows"]) {
        const { status, body } = await get(path);
        expect({ status, body }).toEqual({ status: 404, body: recordedAnswer("not-found-404") });
      }
    });

    it("answers other methods with 405, HEAD included", async () => {
      const { call } = client();
      const { status, body } = await call("DELETE", "/runs");
      expect({ status, body }).toEqual({ status: 405, body: recordedAnswer("method-not-allowed-405") });
      expect((await call("GET", "/run/implement")).status).toBe(405);
      expect((await call("HEAD", "/runs")).status).toBe(405);
      expect((await call("HEAD", "/nowhere")).status).toBe(404);
    });

    it("describes its paths without a key", async () => {
      const { status, body } = await client().call("GET", "root:/api/v1/openapi.json", { headers: {} });
      expect(status).toBe(200);
      expect(Object.keys(body.paths)).toEqual(expect.arrayContaining(PATHS.map((path) => API + path)));
    });
  });

  describe("discovery", () => {
    it("lists the workflows in the recorded shape", async () => {
      const { body } = await client().get("/manage");
      expect(body.map((workflow: { name: string }) => workflow.name)).toEqual(
        expect.arrayContaining(WORKFLOWS),
      );
      const theirs = recordedAnswer("manage-list")[0];
      for (const workflow of body) {
        expect(Object.keys(workflow)).toEqual(expect.arrayContaining(Object.keys(theirs)));
        const shape = sharedShape(workflow, theirs);
        expect(shape.ours).toEqual(shape.theirs);
      }
    });

    it("is understood by the product", async () => {
      const workflows = await client().product.listWorkflows();
      const architect = workflows.find((workflow) => workflow.name === "architect");
      expect(architect).toMatchObject({
        displayName: "Architect",
        description: expect.stringMatching(/\w+ \w+/),
        emoji: expect.any(String),
        suggestedTurns: expect.any(Number),
      });
    });

    it("names the workflows in its health check", async () => {
      const { body } = await client().get("/health");
      expect(body).toMatchObject({ status: "healthy", agent_available: true, workflows: { fix: true } });
    });
  });
}
