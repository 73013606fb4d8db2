// Stands between a chat client and a server over stdio: starts the server, passes on what both say, and appends each
// line to a file, with ">" before what the client has said. Arguments: the file, then the server's command.
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [file, command, ...args] = process.argv.slice(2);
const server = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });

function pass(from, to, mark) {
  createInterface({ input: from })
    .on("line", (line) => {
      appendFileSync(file, `${mark}${line}\n`);
      to.write(`${line}\n`);
    })
    .on("close", () => to.end());
}

pass(process.stdin, server.stdin, ">");
pass(server.stdout, process.stdout, "<");
server.stdin.on("error", () => {});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => server.kill(signal));
server.on("close", (code) => process.exit(code ?? 1));
