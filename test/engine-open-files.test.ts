import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { API } from "./contract/upstream.js";
import { BIN, temporaryFolder, toVariables } from "./support/bin.js";
import { until } from "./support/harness.js";
import { SCRIPTED_AGENT } from "./support/local-engine.js";

const KEY = { "x-api-key": "engine-key-0123456789" };

test("an engine with few files to open, full of connections and streams, still starts a run and writes it down", async () => {
  const folder = temporaryFolder();
  const child = spawn(
    "sh",
    ["-c", `ulimit -n 160; exec "$0" "$@"`, process.execPath, BIN, "engine", "--port", "0"],
    {
      env: {
        PATH: process.env.PATH,
        HOME: folder,
        ...toVariables({ API_KEY: KEY["x-api-key"], STATE_DIR: folder, CLAUDE_PATH: SCRIPTED_AGENT }),
      },
      stdio: ["ignore", "ignore", "pipe"],
    },
  );
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    stderr += text;
  });
  const gone = once(child, "close");
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await gone;
  });
  await until(() => /listens on http:\S+\d/.test(stderr), "the engine", 30_000);
  const [, url = ""] = /listens on (http:[^\s]+\d)/.exec(stderr) ?? [];

  for (let index = 0; index < 40; index++) {
    const { status } = await fetch(`${url}${API}/events`, { headers: KEY });
    expect(status).toBe(index < 20 ? 200 : 503);
  }
  for (let index = 0; index < 200; index++) {
    const socket = connect(Number(new URL(url).port), "127.0.0.1");
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    await once(socket, "connect");
  }

  const started = await fetch(`${url}${API}/run/architect`, {
    method: "POST",
    headers: { ...KEY, "content-type": "application/json" },
    body: JSON.stringify({ message: "Design it", input_format: "stream-json", session_name: "few-files" }),
  });
  expect(started.status).toBe(200);
  const { run_id } = (await started.json()) as { run_id: string };
  await until(async () => {
    const answer = await fetch(`${url}${API}/run/${run_id}/status`, { headers: KEY });
    return ((await answer.json()) as { status: string }).status === "completed";
  }, "the run's end");
  const written = readdirSync(join(folder, "engine"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && existsSync(join(entry.parentPath, entry.name)))
    .some((entry) => readFileSync(join(entry.parentPath, entry.name), "utf8").includes(run_id));
  expect(written).toBe(true);
  expect(stderr).not.toMatch(/EMFILE|Warning/);
}, 90_000);
