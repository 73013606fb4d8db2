// The entry for `fastmcp dev`, which hands on neither arguments nor environment: settings come from a .env file.
import { existsSync } from "node:fs";

if (existsSync(".env")) process.loadEnvFile(".env");
await import("./cli/main.js");
