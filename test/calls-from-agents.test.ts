import { execFile } from "node:child_process";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createSocketServer, type Socket } from "node:net";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { isFromAgent } from "../src/engine/http/from-agent.js";
import { MARK_NAME } from "../src/shared/agent-mark.js";
import { API, type ContractClient, createContractClient } from "./contract/upstream.js";
import { ENGINE_KEY, engineFolder, QUESTION, startLocalEngine, withScript } from "./support/local-engine.js";

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let direct: ContractClient;

beforeAll(async () => {
  place = engineFolder();
  engine = await startLocalEngine(place.folder);
  direct = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
});
afterAll(async () => {
  await engine.close();
  place.remove();
});

/** A script for Node that sends the request with the right key and tells the status. */
function sending(method: string, path: string, body?: object): string {
  const options = {
    method,
    headers: { "x-api-key": ENGINE_KEY, "content-type": "application/json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  };
  return `fetch(${JSON.stringify(engine.url + path)}, ${JSON.stringify(options)}).then((r) => console.log(r.status))`;
}

async function run(env: NodeJS.ProcessEnv, program: string, ...args: string[]): Promise<string> {
  const { stdout } = await promisify(execFile)(program, args, { env: { PATH: process.env.PATH, ...env } });
  return stdout.trim();
}

describe.skipIf(process.platform !== "linux")(
  "what comes from a process of an agent",
  { timeout: 120_000 },
  () => {
    const MARKED = { [MARK_NAME]: "anything" };

    it("neither answers a question nor starts or ends a run, though it has the key; others do", async () => {
      const message = withScript("Design it", { steps: [{ ask: [QUESTION] }] });
      const { run_id } = await direct.start({ message }, "implement");
      const { questions } = await direct.until(run_id, (status) => status.waiting_for === "question");
      const answer = `${API}/run/${run_id}/questions/${questions[0].question_id}/answer`;
      for (const [method, path, body] of [
        ["POST", answer, { answer: "SQLite" }],
        ["POST", `${API}/run/implement`, { message: "Another" }],
        ["POST", `${API}/run/${run_id}/kill`, undefined],
        ["POST", `${API}/leftovers/remove`, { id: "session:s", mark: "m", force: true }],
      ] as const)
        expect(await run(MARKED, process.execPath, "-e", sending(method, path, body))).toBe("403");
      const status = await direct.get(`/run/${run_id}/status`);
      expect(status.body).toMatchObject({ status: "running", waiting_for: "question" });
      expect(await run({}, process.execPath, "-e", sending("POST", answer, { answer: "SQLite" }))).toBe(
        "200",
      );
      await direct.ended(run_id);
    });

    it("is recognised when it has cleared its environment, as long as an agent's process is above it", async () => {
      const script = sending("POST", `${API}/run/implement`, { message: "Another" });
      const child = `require("child_process").execFileSync(process.execPath, ["-e", ${JSON.stringify(script)}], { env: {}, stdio: "inherit" })`;
      expect(await run(MARKED, process.execPath, "-e", child)).toBe("403");
    });

    it("may look: reading costs and changes nothing", async () => {
      expect(await run(MARKED, process.execPath, "-e", sending("GET", "/health"))).toBe("200");
    });

    it("that has gone before the answer is refused; another machine has no process here", async () => {
      const server: Server = createServer((_request, response) => response.end());
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      expect(await isFromAgent({ address: "127.0.0.1", port: 1 }, port)).toBe(true);
      expect(await isFromAgent({ address: "192.0.2.1", port: 1 }, port)).toBe(false);
      expect(await isFromAgent({ address: "", port: 0 }, port)).toBe(true);
      server.close();
    });

    it("that has sent its request and gone is refused, though its connection is root's by then", async () => {
      const server = createSocketServer({ allowHalfOpen: true });
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      const served = new Promise<Socket>((resolve) => server.once("connection", resolve));
      const send = `require("net").connect(${port}, "127.0.0.1", function () { this.write("x", () => process.exit()) })`;
      await run(MARKED, process.execPath, "-e", send);
      const socket = await served;
      const peer = { address: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 };
      // The engine of a person who is not root, as tests may be.
      const user = vi.spyOn(process, "getuid").mockReturnValue(12_345);
      onTestFinished(() => user.mockRestore());
      expect(await isFromAgent(peer, port)).toBe(true);
      // The same ports from another address are another connection.
      expect(await isFromAgent({ address: "192.0.2.1", port: peer.port }, port)).toBe(false);
      socket.destroy();
      server.close();
    });
  },
);
