import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { temporaryFolder } from "./bin.js";
import { findProgram } from "./debian-program.js";

const START_LIMIT_MS = 10_000;
/** Where nginx would otherwise write into the system's folders. */
const TEMPORARY = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];

/** The path of `nginx`, or undefined where there is none and it cannot be installed; see findProgram. */
export function findNginx(): Promise<string | undefined> {
  return findProgram("nginx", "nginx", "Tests behind nginx");
}

/**
 * Starts nginx with two workers in a temporary folder and waits until it takes connections; it ends with the test.
 * @param http what stands in its http block
 * @param port of 127.0.0.1, on which the block lets it listen
 * @throws with what nginx has written when it does not start within 10 s
 */
export async function startNginx(program: string, http: string, port: number): Promise<void> {
  const folder = temporaryFolder("nginx-");
  const main = [
    // As root, workers would be somebody who may not look into the folder.
    process.getuid?.() === 0 ? "user root;" : "",
    "worker_processes 2;",
    "daemon off;",
    "pid nginx.pid;",
    "error_log stderr;",
    "events {}",
    "http {",
    "access_log off;",
    ...TEMPORARY.map((name) => `${name}_temp_path ${name};`),
    http,
    "}",
  ];
  const config = join(folder, "nginx.conf");
  writeFileSync(config, main.join("\n"));
  const child = spawn(program, ["-p", `${folder}/`, "-c", config, "-e", "stderr"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  let output = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    output += text;
  });
  let failed = "";
  child.on("error", (error) => {
    failed = error.message;
  });
  // Not SIGKILL: the workers would stay.
  const end = () => void child.kill("SIGTERM");
  process.on("exit", end);
  onTestFinished(async () => {
    process.off("exit", end);
    if (failed || child.exitCode !== null || child.signalCode !== null) return;
    end();
    await once(child, "exit");
  });
  const until = performance.now() + START_LIMIT_MS;
  while (!(await takesConnections(port))) {
    if (failed || child.exitCode !== null || performance.now() > until) {
      throw new Error(`nginx did not start: ${failed || output.slice(-500)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function takesConnections(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const done = (taken: boolean) => {
      socket.destroy();
      resolve(taken);
    };
    socket.on("connect", () => done(true)).on("error", () => done(false));
  });
}
