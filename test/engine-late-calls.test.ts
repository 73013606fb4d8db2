import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { LocalEngine } from "../src/engine/create-local-engine.js";
import { openDatabase, transaction } from "../src/store/database.js";
import { type ContractClient, createContractClient } from "./contract/upstream.js";
import { ENGINE_KEY, engineFolder, startLocalEngine, withScript } from "./support/local-engine.js";

let place: ReturnType<typeof engineFolder>;
let engine: LocalEngine;
let client: ContractClient;

beforeEach(async () => {
  place = engineFolder();
  engine = await startLocalEngine(place.folder);
  client = createContractClient({ url: engine.url, apiKey: ENGINE_KEY });
});
afterEach(async () => {
  await engine.close();
  place.remove();
});

/** Starts a run whose agent first carries out a command that tells its pid; gives both, and the run's folder. */
async function startAgent(command: string, ...steps: object[]) {
  const tell = {
    name: "Bash",
    input: { command: `echo $PPID > agent.new; mv agent.new agent.pid; ${command}` },
    run: true,
  };
  const { run_id } = await client.start({
    message: withScript("Work", { steps: [{ tools: [tell] }, ...steps] }),
  });
  const { workspace_path } = await client.until(run_id, (status) => existsSync(pidFile(status)));
  const file = pidFile({ workspace_path });
  return { runId: run_id as string, pid: Number(readFileSync(file, "utf8")) };
}

function pidFile({ workspace_path }: { workspace_path?: string }): string {
  return join(workspace_path ?? "/nowhere", "agent.pid");
}

const gone = (pid: number) => expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 20_000 }).toBe(false);

it.runIf(process.platform === "linux")(
  "a message that comes when the agent has ended is refused, also while what that has left is being ended",
  async () => {
    // What ignores SIGTERM gets some time before it is ended by force.
    const { runId, pid } = await startAgent("(trap '' TERM; sleep 30) > /dev/null 2>&1 &", { exit: 3 });
    await gone(pid);
    const late = await client.post(`/run/${runId}/add-message`, { message_type: "user", content: "More" });
    expect(late).toMatchObject({
      status: 400,
      body: { detail: "Cannot add messages to workflow in ending state" },
    });
    const { queue_stats } = (await client.get(`/run/${runId}/message-queue`)).body;
    expect(queue_stats).toMatchObject({ current_size: 0, total_added: 0 });
    expect((await client.ended(runId)).status).toBe("failed");
  },
);

it.runIf(process.platform === "linux")(
  "a kill ends the agent also while another process keeps the database locked",
  async () => {
    const { runId, pid } = await startAgent("true", { hang: true });
    const other = await openDatabase({ folder: place.folder });
    let unlock = () => {};
    const held = new Promise<void>((resolve) => {
      unlock = resolve;
    });
    const locked = transaction(other, () => held);
    const killed = client.post(`/run/${runId}/kill`, undefined, { force: "true" });
    try {
      await gone(pid);
    } finally {
      unlock();
      await locked;
      await other.destroy();
    }
    expect((await killed).status).toBe(200);
    expect((await client.ended(runId)).status).toBe("killed");
  },
);
