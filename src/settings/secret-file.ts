import { closeSync, fstatSync, openSync, readFileSync } from "node:fs";
import { assertClosed, assertOwn, NotPrivateError } from "../shared/private-files.js";
import { SettingsError } from "./settings.js";

/**
 * The text of a file of secrets, looked at after it was opened. One of root's may be readable by all: that is how
 * Docker and Kubernetes hand secrets to a container.
 * @param variable the setting that names it
 * @throws SettingsError when it cannot be read, or others can
 */
export function readSecretFile(variable: string, path: string): string {
  try {
    return readOwnFile(path);
  } catch (error) {
    const why =
      error instanceof NotPrivateError
        ? error.message
        : `the file cannot be read (${(error as NodeJS.ErrnoException).code})`;
    throw new SettingsError(`${variable}: ${why}`);
  }
}

function readOwnFile(path: string): string {
  const fd = openSync(path, "r");
  try {
    const found = fstatSync(fd);
    assertOwn(found, "the file", true);
    const isHandedOver = found.uid === 0 && process.geteuid?.() !== 0;
    // A group may be one that was made for it, as long as it cannot write.
    assertClosed(found, "the file", isHandedOver ? 0o022 : 0o027);
    return readFileSync(fd, "utf8");
  } finally {
    closeSync(fd);
  }
}
